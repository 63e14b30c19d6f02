"""Records of several topics accepted by one replay, where the log is all that a proof has."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Literal

import headrace as hr
import headrace.testing

NOON = datetime(2026, 1, 1, 12)
TOPICS = ("one", "two")


def app_of(kinds: Any) -> hr.App:
    fields = {"at": datetime, "who": str, "kind": kinds}
    event, app = type("Step", (hr.Event,), {"__annotations__": fields}), hr.App("steps")
    for topic in TOPICS:
        source = app.source(event, topic=topic, key="who", time="at")
        app.table(f"counts_{topic}", source.by("who").agg(n="count(*)"))
    return app


def steps(*kinds: int) -> list[dict[str, Any]]:
    at = [NOON + timedelta(seconds=second) for second in range(len(kinds))]
    return [{"at": a, "who": "ann", "kind": kind} for a, kind in zip(at, kinds, strict=True)]


def test_each_counts_once_and_for_its_own_topic() -> None:
    with headrace.testing.run(app_of(Literal[1]), start=NOON) as t:
        for topic in TOPICS:
            t.send(topic, steps(1, 2, 1))
        t.verify()
        t.close()
        t.plan = app_of(Literal[1, 2]).plan
        t.open()
        t.send("one", steps(2))
        assert t.replay() == 2
        (found,) = t.verify()
        assert found.events == 7
        assert [t.rows(f"counts_{topic}")[0]["n"] for topic in TOPICS] == [4, 3]
