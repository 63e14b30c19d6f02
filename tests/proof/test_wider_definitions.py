"""Without a lake the log is read again: what was refused stays refused until it is replayed."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import headrace as hr
import headrace.testing
from tests.views.cases import START, at

ROWS = "select kind, c from counts order by kind"


class Narrow(hr.Event):
    at: datetime
    kind: Literal["x"]


class Wide(hr.Event):
    at: datetime
    kind: Literal["x", "y"]


def counted(event: type[hr.Event]) -> hr.App:
    app = hr.App("wider")
    things = app.source(event, topic="things", time="at", partitions=1)
    app.table("counts", things.tumble("10 seconds").by("kind").agg(c="count(*)"))
    app.table("totals", things.by("kind").agg(c="count(*)"))
    return app


def test_what_a_wider_definition_accepts_counts_once_it_is_replayed() -> None:
    with headrace.testing.run(counted(Narrow), start=START) as t:
        t.send("things", [{"at": at(s), "kind": kind} for s, kind in enumerate("xyxy")])
        t.send("things", [{"at": at(60), "kind": "x"}])
        t.epoch()
        t.plan = counted(Wide).plan
        t.restart()
        t.verify()
        assert t.query(ROWS) == [{"kind": "x", "c": 2}, {"kind": "x", "c": 1}]
        assert t.replay() == 2
        t.verify()
        totals = {row["kind"]: row["c"] for row in t.rows("totals")}
        assert totals == {"x": 3, "y": 2}
        t.recompute()
        t.verify()
        assert {"kind": "y", "c": 2} in t.query(ROWS)
