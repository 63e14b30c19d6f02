"""Keys and sums at the edges of their types: a row is one row in every destination."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

import headrace as hr
import headrace.testing

NOON = datetime(2026, 1, 1, 12)


class Reading(hr.Event):
    at: datetime
    value: float
    who: str | None = None
    text: str | None = None


def reading(seconds: int, value: float = 0.0, **more: Any) -> dict[str, Any]:
    return {"at": NOON + timedelta(seconds=seconds), "value": value, **more}


def made() -> tuple[hr.App, hr.Stream]:
    app = hr.App("odd")
    return app, app.source(Reading, topic="r", time="at", lateness="0 seconds", partitions=1)


def newest(t: headrace.testing.Driver, topic: str) -> list[dict[str, Any]]:
    """The last value of each record key, as a reader of the topic keeps them."""
    last = {row["key"]: row["value"] for row in t.rows(topic)}
    own = ("_correction", "_epoch")
    return [{k: v for k, v in row.items() if k not in own} for row in last.values() if row]


def test_zeros_of_both_signs_are_one_key() -> None:
    app, source = made()
    counts = source.tumble("10 seconds").by("value").agg(n="count(*)")
    app.table("counts", counts)
    app.table("newest", source, key="value")
    app.topic("changes", counts, partitions=1)
    app.topic("closed", counts, partitions=1, emit="final")
    with headrace.testing.run(app, start=NOON) as t:
        for second, value in ((0, -0.0), (1, 0.0), (60, 7.0)):
            t.send("r", [reading(second, value)])
            t.epoch()
        t.send("r", [reading(2, 0.0)] * 3)
        t.verify()
        t.recompute()
        t.verify()
        assert [(str(r["value"]), r["n"]) for r in t.rows("counts")] == [("0.0", 5), ("7.0", 1)]
        assert [(str(r["value"]), r["n"]) for r in newest(t, "changes")] == [("0.0", 5), ("7.0", 1)]
        assert [(str(r["value"]), r["n"]) for r in newest(t, "closed")] == [("0.0", 5)]
        assert sorted(str(r["value"]) for r in t.rows("newest")) == ["0.0", "7.0"]


def test_keys_that_are_no_numbers_are_null_everywhere() -> None:
    app, source = made()
    counts = source.by("who", x="cast(text as double)").agg(n="count(*)")
    app.table("counts", counts)
    app.topic("changes", counts, partitions=1)
    with headrace.testing.run(app, start=NOON) as t:
        texts = ["nan", "inf", "-inf", None, "1"]
        t.send("r", [reading(0, who="a", text=text) for text in texts])
        t.verify()
        wanted = [{"who": "a", "x": None, "n": 4}, {"who": "a", "x": 1.0, "n": 1}]
        for found in (t.rows("counts"), newest(t, "changes")):
            assert sorted(found, key=lambda r: -r["n"]) == wanted


TEXTS = [None, '{"who":null}', '{"who":"{\\"who\\":null}"}', '{"who":', "a", ""]


def test_no_text_shares_the_record_key_of_null() -> None:
    app, source = made()
    counts = source.by("who").agg(n="count(*)")
    app.topic("changes", counts, partitions=1)
    with headrace.testing.run(app, start=NOON) as t:
        t.send("r", [reading(0, who=who) for n, who in enumerate(TEXTS) for _ in range(n + 1)])
        t.epoch()
        t.send("r", [reading(0, who=who) for who in TEXTS])
        t.verify()
        found = {row["who"]: row["n"] for row in newest(t, "changes")}
        assert found == {who: n + 2 for n, who in enumerate(TEXTS)}


@pytest.mark.parametrize("result", ["sum(value)", "avg(value)", "stddev(value)"])
def test_floats_whose_sum_leaves_their_range_are_no_difference(result: str) -> None:
    app, source = made()
    app.table("v", source.tumble("10 seconds").agg(n="count(*)", x=result))
    with headrace.testing.run(app, start=NOON) as t:
        for value in (1e308, 1e308, -1e308, 5.0):
            t.send("r", [reading(0, value)])
            t.epoch()
        t.verify()
        t.send("r", [reading(60, 1.0)])
        [report] = t.recompute()
        assert report.corrections == 0
        t.verify()
