"""Records that retention took: what cannot be computed again is not called different."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import headrace as hr
import headrace.testing
from headrace.ops.jobs.ask import ask
from headrace.proof import fixed as fixing
from headrace.proof import from_log
from headrace.proof.recompute import recompute
from headrace.proof.verify import verify
from headrace.storage.contract import Fetched
from headrace.storage.topics.log import LocalTopic
from headrace.testing import Driver
from headrace.values.errors import DestinationDown, StateRefused, Unreachable
from headrace.values.settings import Settings
from tests.proof.letting_go import take_all
from tests.views.cases import at, thing, things


class Ping(hr.Event):
    who: str
    at: datetime


def test_rows_of_records_that_are_gone_are_not_called_different(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = hr.App("pings")
    pings = app.source(Ping, topic="pings", key="who", time="at", partitions=1)
    app.table("counts", pings.by("who").agg(n="count(*)"))
    app.table("minutes", pings.tumble("1m").by("who").agg(n="count(*)"))
    topic = LocalTopic.ensure(tmp_path / "topics", "pings", 1)
    record = b'{"who": "ann", "at": "2026-03-01T10:00:00Z"}'
    for _ in range(3):
        topic.append(pa.array([record] * 10), keys=pa.array([b"ann"] * 10))
        app.run(until="caught-up", data=tmp_path)
    assert [c.compared for v in app.verify(data=tmp_path) for c in v.checked] == [True] * 2
    time.sleep(0.1)
    topic.retain(50_000, 1)
    (found,) = app.verify(data=tmp_path)
    assert found.holds and [c.compared for c in found.checked] == [False] * 2
    assert app.query("select n from counts", data=tmp_path).to_pylist() == [{"n": 30}]
    with pytest.raises(StateRefused) as told:
        ask(app.plan.jobs[0], Settings(tmp_path), "recompute", {})
    assert "pings" in str(told.value) and "Declare a lake" in str(told.value)


def test_a_recompute_needs_the_events_of_its_views_alone() -> None:
    """Totals take what comes late at once: what their source lost is not asked for."""
    app, source = things(lateness="0s")
    app.table("counts", source.tumble("10s").by("who").agg(n="count(*)"))
    pings = app.source(Ping, topic="pings", key="who", time="at", partitions=1)
    app.table("totals", pings.by("who").agg(n="count(*)"))
    with headrace.testing.run(app) as t:
        t.send("things", [thing(1), thing(31)])
        t.send("pings", [{"who": "ann", "at": at(1)}])
        t.verify()
        t.restart()
        take_all(LocalTopic.ensure(t._settings.data / "topics", "pings", 1))
        t.send("things", [thing(2)])
        (report,) = t.recompute()
        assert (report.corrections, report.events) == (1, 3)
        assert t.rows("counts")[0]["n"] == 2


def with_old_ones_gone(t: Driver) -> LocalTopic:
    """The log is without what was read first, and another event waits in it."""
    t.send("things", [thing(1)])
    t.verify()
    t.restart()
    log = LocalTopic.ensure(t._settings.data / "topics", "things", 1)
    take_all(log)
    t.send("things", [thing(31)])
    return log


def test_a_lake_that_is_down_is_told_where_the_log_is_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fixing, "_OUTAGE_SECONDS_MAX", 0.1)
    app, source = things(lateness="0s")
    app.lake("everything", source)
    app.table("counts", source.tumble("10s").by("who").agg(n="count(*)"))
    with headrace.testing.run(app) as t:
        with_old_ones_gone(t)
        [runner] = t.runners.values()
        with monkeypatch.context() as broken:
            broken.setattr(runner.deliveries[0].destination, "deliver", away)
            t.epoch()
            with pytest.raises(DestinationDown, match="everything did not take") as told:
                recompute(runner)
            assert "nothing can be recomputed" in str(told.value)
            found = verify(runner)
            notes = {checked.name: checked.note for checked in found.checked}
            assert "lake everything, which holds it, has not taken" in (notes["counts"] or "")
            assert not found.holds and not found.checked[0].compared
        t.recompute()
        t.verify()


@pytest.mark.parametrize("whole", [True, False])
def test_retention_goes_on_while_the_log_is_read(
    monkeypatch: pytest.MonkeyPatch, whole: bool
) -> None:
    """What it takes meanwhile is gone, no more than that; what is gone is not read for nothing."""
    app, source = things(lateness="0s")
    app.table("counts", source.tumble("10s").by("who").agg(n="count(*)"))
    with headrace.testing.run(app) as t:
        t.send("things", [thing(1), thing(31)])
        t.verify()
        t.restart()
        log, reads = LocalTopic.ensure(t._settings.data / "topics", "things", 1), []

        def read_late(*given: Any) -> pa.Table:
            if not reads and whole:
                take_all(log)
            reads.append(given)
            return read_all(*given)

        read_all = from_log.read_all
        monkeypatch.setattr(from_log, "read_all", read_late)
        if not whole:
            take_all(log)
        [runner] = t.runners.values()
        found = verify(runner)
        assert found.holds and [checked.compared for checked in found.checked] == [False]
        with pytest.raises(StateRefused, match="nothing can be recomputed") as told:
            recompute(runner)
        assert "Declare a lake" in str(told.value)
        assert len(reads) == int(whole)


def test_retention_goes_on_while_an_output_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    app, source = things(lateness="0s")
    app.topic("copy", source, partitions=1)
    with headrace.testing.run(app) as t:
        t.send("things", [thing(1), thing(31)])
        t.verify()
        copy, fetch = LocalTopic.ensure(t._settings.data / "topics", "copy", 1), LocalTopic.fetch

        def fetch_late(topic: LocalTopic, *given: Any, **more: Any) -> Fetched:
            if topic.path == copy.path:
                monkeypatch.undo()
                take_all(copy)
            return fetch(topic, *given, **more)

        monkeypatch.setattr(LocalTopic, "fetch", fetch_late)
        [runner] = t.runners.values()
        found = verify(runner)
        assert found.holds and "it reaches back to offsets [2]" in (found.checked[0].note or "")


def away(*_: Any) -> int:
    raise Unreachable("the disk is away")
