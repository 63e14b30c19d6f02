"""A lake at its upkeep is not down: what it was given counts, and who stops does not wait."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pytest

import headrace.testing
from headrace.engines.embedded.deliveries import delivery as deliveries
from headrace.storage.lake import compaction
from headrace.storage.lake.merge import widened
from headrace.storage.lake.reading import live_files
from headrace.testing.driver import Driver
from headrace.testing.records import append
from headrace.values.telemetry import DestinationDown, Event
from tests.engines.embedded.test_outage import until
from tests.views.cases import START, thing, things


class SlowDisk:
    """Holds up what puts files together at its first file until `let`, then at the next."""

    def __init__(self) -> None:
        self.begun, self.let, self.rest = (threading.Event() for _ in range(3))
        self._gates = iter([self.let])

    def widened(self, table: pa.Table, schema: pa.Schema) -> pa.Table:
        self.begun.set()
        assert next(self._gates, self.rest).wait(60)
        return widened(table, schema)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[SlowDisk]:
    made = SlowDisk()
    monkeypatch.setattr(compaction, "widened", made.widened)
    yield made
    made.let.set()
    made.rest.set()


def before_upkeep() -> Any:
    app, source = things()
    app.table("t", source.by("who").agg(c="count(*)"))
    app.lake("every", source)
    return headrace.testing.run(app, start=START)


def runner_of(t: Driver) -> Any:
    """The app's runner, which has delivered as often as it may before its lake is tidied."""
    for n in range(compaction.FILES_MIN - 1):
        t.send("things", [thing(n, n=n)])
        assert len(t.rows("every")) == n + 1
    [runner] = t.runners.values()
    append(runner.engine.readers["things"].topic, None, [thing(8, n=7)], 0)
    return runner


def begun(call: Callable[[], None]) -> tuple[threading.Thread, list[BaseException]]:
    """`call` in a thread of its own, and what ended it."""
    problems: list[BaseException] = []

    def run() -> None:
        try:
            call()
        except BaseException as problem:
            problems.append(problem)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread, problems


def test_who_catches_up_waits_for_upkeep_and_takes_it_for_no_outage(
    disk: SlowDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    with before_upkeep() as t:
        runner, told = runner_of(t), list[Event]()
        [delivery] = runner.deliveries
        delivery.tell = told.append
        thread, problems = begun(lambda: runner.run("caught-up"))
        assert disk.begun.wait(60)
        assert delivery.flush(compaction.FILES_MIN, 5.0), "what it was given counts"
        monkeypatch.setattr(deliveries, "_SILENCE_SECONDS", 0.0)
        delivery.look_for_silence()
        assert delivery.down is None and not delivery.tidied(0.0)
        assert thread.is_alive()
        disk.let.set()
        disk.rest.set()
        thread.join(60)
        assert not thread.is_alive() and problems == []
        assert not any(isinstance(event, DestinationDown) for event in told)
        [lake] = t._settings.data.glob("lakes/**/every")
        [file] = live_files(lake)
        assert "compacted" in file.name
        t.verify()


def test_who_stops_does_not_wait_for_upkeep(disk: SlowDisk) -> None:
    """What came meanwhile is delivered first."""
    with before_upkeep() as t:
        runner, stop = runner_of(t), threading.Event()
        [delivery] = runner.deliveries
        thread, problems = begun(lambda: runner.run(stop=stop))
        assert disk.begun.wait(60)
        append(runner.engine.readers["things"].topic, None, [thing(9, n=8)], 0)
        until(lambda: runner.engine.ledger.epoch > compaction.FILES_MIN)
        stop.set()
        until(lambda: delivery._flush > 0)
        disk.let.set()
        thread.join(60)
        assert not thread.is_alive() and problems == []
        assert delivery.landed()[0] == runner.engine.ledger.epoch
        disk.rest.set()
        assert [row["n"] for row in t.rows("every")] == list(range(9))
        t.verify()


def test_a_stop_leaves_upkeep_to_the_next_start(disk: SlowDisk) -> None:
    with before_upkeep() as t:
        runner, stop = runner_of(t), threading.Event()
        thread, problems = begun(lambda: runner.run(stop=stop))
        assert disk.begun.wait(60)
        [delivery] = runner.deliveries
        stop.set()
        thread.join(60)
        assert not thread.is_alive() and problems == []
        closing, _ = begun(delivery.stop)
        until(lambda: delivery._stop)
        disk.let.set()
        closing.join(60)
        assert not closing.is_alive() and delivery._closed
        [lake] = t._settings.data.glob("lakes/**/every")
        assert len(live_files(lake)) == len(list(lake.rglob("*.parquet"))) == compaction.FILES_MIN
        t.restart()
        assert [row["n"] for row in t.rows("every")] == list(range(8))
        t.verify()
