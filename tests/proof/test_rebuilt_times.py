"""Views built again by another event time or lateness: who comes late hangs on that alone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pytest

import headrace as hr
import headrace.testing
from headrace.ops.jobs.rebuilding import rebuild_job
from headrace.testing import Driver
from tests.views.cases import at

_MINUTE = 60
_LATER = 86_400


class Event(hr.Event):
    a: datetime
    b: datetime
    who: str


def app_of(time: str | None, *, lake: bool = True, lateness: str = "0s") -> hr.App:
    """Running totals, and by an event time also windows and what remembers for a while."""
    app = hr.App("times")
    timed: dict[str, Any] = {} if time is None else {"time": time, "lateness": lateness}
    things = app.source(Event, topic="things", key="who", partitions=2, **timed)
    if lake:
        app.lake("everything", things)
    app.table("totals", things.by("who").agg(n="count(*)"))
    if time is not None:
        app.table("minutes", things.tumble("1 minute").agg(n="count(*)"))
        app.topic("closed", things.tumble("1 minute").by("who").agg(n="count(*)"), emit="final")
        once = things.dedupe(by="who", within="10 seconds")
        app.table("once", once.by("who").agg(n="count(*)"))
    return app


def sent(t: Driver, partition: int, *times: tuple[float, float]) -> None:
    """Records with these values of `a` and `b`, in one epoch."""
    events = [{"a": at(a), "b": at(b), "who": f"p{partition}"} for a, b in times]
    t.send("things", events, partition=partition)
    t.rows("totals")


def built_again(t: Driver, app: hr.App) -> None:
    t.close()
    t.plan = app.plan
    rebuild_job(t.plan.jobs[0], t._settings)
    t.open()


def late_of(times: Sequence[float]) -> int:
    """How many records of a partition come behind one that closes their minute."""
    ends = [(time // _MINUTE + 1) * _MINUTE for time in times]
    return sum(max(times[:nth], default=-1) >= end for nth, end in enumerate(ends))


def epochs(t: Driver, kind: str) -> int:
    return len(t.query(f"select distinct epoch from epochs where kind = '{kind}'"))


@pytest.mark.parametrize("lake", [True, False], ids=["lake", "log"])
def test_a_time_that_was_added_makes_late_who_lies_behind_it(lake: bool) -> None:
    with headrace.testing.run(app_of(None, lake=lake), start=at(_LATER)) as t:
        sent(t, 0, (0, 0), (3600, 3600))
        built_again(t, app_of("a", lake=lake))
        assert epochs(t, "rebuild") == 1
        sent(t, 0, (1800, 1800))
        assert t.late("minutes") == late_of([0, 3600, 1800]) == 1
        t.restart()
        # In the other partition nothing came before.
        sent(t, 1, (3700, 3700), (3800, 3800), (3701, 3701))
        assert t.late("minutes") == 1 + late_of([3700, 3800, 3701]) == 2
        assert t.watermark("things") == at(3600)
        t.verify()
        t.recompute()
        t.verify()


@pytest.mark.parametrize("behind", [120, -120], ids=["before", "after"])
def test_another_time_decides_who_is_late(behind: int) -> None:
    """`b` stands two minutes before or behind `a`; the other partition holds the source back."""
    with headrace.testing.run(app_of("a"), start=at(_LATER)) as t:
        sent(t, 1, (1, 1))
        first = [600, 630, 720]
        for time in first:
            sent(t, 0, (time, time - behind))
        assert t.late("minutes") == late_of(first) == 0
        built_again(t, app_of("b"))
        by_b = [time - behind for time in first]
        assert t.late("minutes") == late_of(by_b) == 0
        # Between the two greatest times, where the one is late and the other is not.
        by_b += [660, 661, 660 - behind, 600]
        for nth, time in enumerate(by_b[3:], 4):
            sent(t, 0, (660 + behind, time))
            assert t.late("minutes") == late_of(by_b[:nth])
        assert late_of(by_b) > 0
        t.verify()
        t.recompute()
        t.verify()


def test_a_time_that_was_taken_away_is_not_what_a_later_one_is_seen_from() -> None:
    with headrace.testing.run(app_of("a"), start=at(_LATER)) as t:
        sent(t, 0, (600, 0))
        built_again(t, app_of(None))
        sent(t, 0, (1200, 1))
        built_again(t, app_of("b"))
        sent(t, 0, (1200, 2))
        assert t.counts("once") == {"accepted": 3, "applied": 1, "duplicate": 2}
        # The source's watermark never goes back: it closed these minutes by the first time.
        assert t.late("minutes") == 2
        t.verify()


def test_what_is_built_again_by_the_same_time_needs_no_epoch() -> None:
    with headrace.testing.run(app_of("a"), start=at(_LATER)) as t:
        sent(t, 0, (600, 0))
        sent(t, 1, (500, 0))
        built_again(t, app_of("a", lateness="1 minute"))
        assert epochs(t, "rebuild") == 0
        t.verify()


@pytest.mark.parametrize(
    ("changed", "second"),
    [(app_of("b"), (660, 1)), (app_of("a", lateness="1 hour"), (500, 0))],
    ids=["time", "lateness"],
)
def test_epochs_whose_watermark_decides_now_are_not_joined(
    changed: hr.App, second: tuple[float, float]
) -> None:
    """The second record is late by the source's watermark of then, and by no other any more."""
    with headrace.testing.run(app_of("a"), start=at(_LATER)) as t:
        sent(t, 0, (600, 0))
        sent(t, 0, second)
        built_again(t, changed)
        assert t.late("minutes") == 1
        t.verify()
        [runner] = t.runners.values()
        with runner.store.transaction() as connection:
            runner.note(connection)
        runner.fold()
        t.verify()
        sent(t, 0, (720, 720))
        t.verify()
