"""Which recomputes the state remembers: those that still decide about a row."""

from __future__ import annotations

import headrace.testing
from headrace.proof.recompute import recompute
from headrace.testing import Driver
from headrace.values.clock import instant_us
from tests.views.cases import at, thing, things


def remembered(t: Driver, view: str) -> list[tuple[int | None, int]]:
    """From when to when, in seconds after the start, in their order."""
    rows = t.runners["views"].store.rows(
        "select distinct number, from_us, bound_us from meta.regions where view = ? order by 1",
        [view],
    )
    begin = instant_us(at(0))
    return [(f and (f - begin) // 1_000_000, (to - begin) // 1_000_000) for _, f, to in rows]


def test_one_that_a_later_one_covers_is_forgotten() -> None:
    app, source = things(lateness="0s")
    app.table("counts", source.tumble("10s").by("who").agg(n="count(*)"))
    app.table("visits", source.session(gap="5s").by("who").agg(n="count(*)"))
    with headrace.testing.run(app) as t:

        def again(first: int | None, last: int) -> None:
            """A recompute behind a late event in every window."""
            t.send("things", [thing(second + 1) for second in range(0, 60, 10)])
            t.epoch()
            begin = None if first is None else instant_us(at(first))
            recompute(t.runners["views"], from_us=begin, to_us=instant_us(at(last)))
            t.verify()

        t.send("things", [thing(second) for second in range(0, 80, 10)])
        t.epoch()
        for first, last in ((0, 20), (30, 50), (10, 40)):
            again(first, last)
        assert remembered(t, "counts") == [(0, 20), (30, 50), (10, 40)]
        again(0, 40)
        assert remembered(t, "counts") == [(30, 50), (0, 40)]
        again(None, 60)
        assert remembered(t, "counts") == [(None, 60)]
        assert len(remembered(t, "visits")) == 5
        again(0, 10)
        assert remembered(t, "counts") == [(None, 60), (0, 10)]
        t.restart()
        t.verify()
