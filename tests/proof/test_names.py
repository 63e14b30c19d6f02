"""Whatever topics, views and fields are called, a proof reads what they hold and nothing else."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Literal

import pytest

import headrace as hr
import headrace.testing

NOON = datetime(2026, 1, 1, 12)
# Columns of the tables in which the state keeps what was read, replayed and watermarked.
OF_THE_STATE = (
    "topic",
    "epoch",
    "number",
    "identity",
    "partition",
    "exempt",
    "replay",
    "generation",
)


class Ping(hr.Event):
    at: datetime
    who: str


def app_of(event: type[hr.Event], *topics: str) -> hr.App:
    """Counts and sessions of each topic."""
    app = hr.App("named")
    for topic in topics:
        source = app.source(event, topic=topic, key="who", time="at", lateness="0 seconds")
        app.table(f"counts_{topic}", source.tumble("1 minute").by("who").agg(n="count(*)"))
        app.table(f"visits_{topic}", source.session(gap="45 seconds").by("who").agg(n="count(*)"))
    return app


def ping(seconds: int, **more: Any) -> dict[str, Any]:
    return {"at": NOON + timedelta(seconds=seconds), "who": "ann", **more}


@pytest.mark.parametrize(
    "topics",
    [
        *[(n,) for n in ("late", "expected", "apart", "changed", "beside", "other", "topic")],
        *[(n,) for n in ("sums", "wanted", "filling", "differs")],
        *[("x", f"{of}_x") for of in ("seen", "open", "late", "rest", "both", "segments_visits")],
    ],
    ids=" and ".join,
)
def test_topics_go_by_any_name(topics: tuple[str, ...]) -> None:
    with headrace.testing.run(app_of(Ping, *topics), start=NOON) as t:
        for number, topic in enumerate(topics):
            t.send(topic, [ping(30 * i) for i in range(10 + number)] + [ping(0)])
        for report in (t.verify(), t.recompute(), t.verify()):
            assert [r.events for r in report] == [sum(11 + n for n in range(len(topics)))]
        for number, topic in enumerate(topics):
            assert sum(row["n"] for row in t.rows(f"counts_{topic}")) == 11 + number


def highest(field: str, *, second: bool) -> hr.App:
    """The greatest value of a field; records of `kind` 2 are accepted if `second`."""
    kind = Literal[1, 2] if second else Literal[1]
    fields = {"at": datetime, "who": str, "kind": kind, field: int}
    event, app = type("Named", (hr.Event,), {"__annotations__": fields}), hr.App("named")
    source = app.source(event, topic="pings", key="who", time="at", lateness="0 seconds")
    app.table("highest", source.tumble("1 minute").by("who").agg(n=f"max({field})"))
    return app


@pytest.mark.parametrize("field", OF_THE_STATE)
def test_fields_go_by_any_name(field: str) -> None:
    """Where no lake holds the source, so that its events come from the log and from replays."""
    with headrace.testing.run(highest(field, second=False), start=NOON) as t:
        t.send("pings", [ping(20 * i, kind=1, **{field: i}) for i in range(5)])
        t.send("pings", [ping(0, kind=2, **{field: 7})])
        t.verify()
        t.close()
        t.plan = highest(field, second=True).plan
        t.open()
        assert t.replay() == 1
        t.verify()
        (found,) = t.recompute()
        assert found.corrections == 1
        assert [row["n"] for row in t.rows("highest")] == [7, 4]
