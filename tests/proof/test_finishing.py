"""A rebuild that is cut short behind its commit: what came late is added by whoever opens next."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

import headrace as hr
import headrace.testing
from headrace.engines.embedded.runner import JobRunner
from headrace.ops.jobs import rebuilding
from headrace.ops.jobs.ask import ask
from headrace.ops.jobs.rebuilding import rebuild_job
from headrace.proof import fixed as fixing
from headrace.proof.finishing import finish
from headrace.storage.lake.lake import DeltaLake
from headrace.testing import Driver
from headrace.values.errors import Unreachable
from headrace.values.telemetry import Event, RecomputeWaits
from tests.views.cases import at, thing, things

ON_TIME = [thing(4 * i, "abc"[i % 3], n=i) for i in range(30)]
LATE = [thing(0, "a", n=100), thing(1, "d", n=101)]


def app_of(condition: str) -> hr.App:
    app, source = things(lateness="0s")
    app.lake("everything", source)
    app.table("totals", source.by("who").agg(n="count(*)"))
    made = source.where(condition).tumble("10s").by("who").agg(n="count(*)")
    app.table("windows", made)
    app.topic("told", made)
    app.lake("closed", made, emit="final")
    return app


def wanted(least: int, events: list[dict[str, Any]]) -> dict[tuple[Any, str], int]:
    """How many events there are by window and person, counted one by one."""
    seconds = [(e["at"] - at(0)).total_seconds() for e in events]
    starts = [at(second - second % 10) for second in seconds]
    return dict(
        Counter((s, e["who"]) for s, e in zip(starts, events, strict=True) if e["n"] >= least)
    )


def windows(t: Driver) -> dict[tuple[Any, str], int]:
    return {(r["window_start"], r["who"]): r["n"] for r in t.rows("windows")}


def recomputed(t: Driver) -> None:
    """Some events are on time, some late and recomputed."""
    t.send("things", ON_TIME)
    t.epoch()
    t.send("things", LATE)
    t.recompute()


def cut_short(*_: object, **__: object) -> None:
    raise Unreachable("PostgreSQL does not answer")


def rebuilt_and_cut_short(
    t: Driver, monkeypatch: pytest.MonkeyPatch, where: str, views: tuple[str, ...] = ()
) -> None:
    with monkeypatch.context() as broken:
        if where == "before the destinations are opened":
            broken.setattr("headrace.engines.embedded.runner.open_deliveries", cut_short)
        else:
            broken.setattr(rebuilding, "recompute", cut_short)
        with pytest.raises(Unreachable):
            rebuild_job(t.plan.jobs[0], t._settings, views=views)


WHERE = ["before the destinations are opened", "before the recompute"]


@pytest.mark.parametrize("by", ["a start", "the same command", "recompute"])
@pytest.mark.parametrize("where", WHERE)
def test_a_changed_view_gets_its_late_events_all_the_same(
    monkeypatch: pytest.MonkeyPatch, where: str, by: str
) -> None:
    with headrace.testing.run(app_of("n >= 0")) as t:
        recomputed(t)
        assert windows(t) == wanted(0, ON_TIME + LATE)
        t.close()
        t.plan = app_of("n >= 5").plan
        rebuilt_and_cut_short(t, monkeypatch, where)
        if by == "the same command":
            report = rebuild_job(t.plan.jobs[0], t._settings)
            assert (report["views"], report["corrections"]) == ([], 6)
        t.open()
        if by == "recompute":
            t.recompute()
        assert windows(t) == wanted(5, ON_TIME + LATE)
        t.verify()
        [runner] = t.runners.values()
        assert runner.store.facts("recompute ") == {}
        epoch = runner.engine.ledger.epoch
        t.restart()
        # Once and for all: what comes late from here on waits for who asks.
        assert t.runners["views"].engine.ledger.epoch == epoch
        t.send("things", [thing(2, "e", n=102)])
        t.epoch()
        t.restart()
        assert windows(t) == wanted(5, ON_TIME + LATE)
        t.verify()


@pytest.mark.parametrize("where", WHERE)
def test_a_view_that_is_built_again_by_name_keeps_what_was_recomputed(
    monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    with headrace.testing.run(app_of("n >= 0")) as t:
        recomputed(t)
        t.close()
        rebuilt_and_cut_short(t, monkeypatch, where, ("windows", "totals"))
        t.open()
        assert windows(t) == wanted(0, ON_TIME + LATE)
        t.verify()


def test_a_part_that_is_recomputed_is_not_all(monkeypatch: pytest.MonkeyPatch) -> None:
    with headrace.testing.run(app_of("n >= 0")) as t:
        t.send("things", ON_TIME)
        t.epoch()
        t.send("things", LATE)
        t.epoch()
        t.close()
        rebuilt_and_cut_short(t, monkeypatch, WHERE[1], ("windows",))
        bound = int(at(0).timestamp())
        ask(t.plan.jobs[0], t._settings, "recompute", {"to_us": bound})
        t.open()
        assert windows(t) == wanted(0, ON_TIME + LATE)


def test_what_a_destination_keeps_from_it_waits_for_a_later_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fixing, "_OUTAGE_SECONDS_MAX", 0.1)
    told: list[Event] = []
    with headrace.testing.run(app_of("n >= 0")) as t:
        t.send("things", ON_TIME)
        t.epoch()
        t.send("things", LATE)
        t.recompute()
        t.send("things", [thing(200)])
        t.epoch()
        t.close()
        with monkeypatch.context() as broken:
            broken.setattr(DeltaLake, "deliver", cut_short)
            with pytest.raises(Unreachable, match="did not take"):
                rebuild_job(t.plan.jobs[0], t._settings, views=["windows"])
            [job] = t.plan.jobs
            with JobRunner(
                job, t._settings, clock=t.clock, tell=told.append, fill=finish
            ) as runner:
                assert runner.store.facts("recompute ")
        [waits] = [event for event in told if isinstance(event, RecomputeWaits)]
        assert waits.views == ["windows"] and "did not take" in waits.problem
        t.open()
        assert windows(t) == wanted(0, [*ON_TIME, *LATE, thing(200)])
        t.verify()
