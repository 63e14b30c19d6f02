"""What a loop does while it waits: it hears who asks, gives up in time, and notes what landed."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import pytest

import headrace as hr
from headrace.engines.embedded.deliveries import delivery as delivering
from headrace.engines.embedded.deliveries import destinations, outage
from headrace.engines.embedded.deliveries.delivery import Delivery, Pace
from headrace.engines.embedded.runner import JobRunner
from headrace.ops.jobs.status import status
from headrace.proof.finishing import finish
from headrace.storage import systems
from headrace.storage.topics.log import LocalTopic
from headrace.testing.records import append
from headrace.values.errors import DestinationDown, Unreachable
from headrace.values.settings import Settings
from tests.storage.sqlite_system import SqliteSystem, SqliteTable
from tests.views.cases import thing, things

LONG_MS = 600_000


def made(*, lake: bool = False) -> hr.App:
    app, source = things()
    app.table("counts", source.by("who").agg(c="count(*)"))
    if lake:
        app.lake("every", source)
    return app


def topic_of(settings: Settings) -> LocalTopic:
    return LocalTopic.ensure(settings.data / "topics", "things", 1)


def send(settings: Settings, count: int) -> None:
    append(topic_of(settings), None, [thing(n) for n in range(count)], 0)


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


class Running:
    """A job whose loop runs in a thread of its own; `problem` is what ended it."""

    def __init__(self, app: hr.App, settings: Settings) -> None:
        (job,) = app.plan.jobs
        self.runner = JobRunner(job, settings, tell=lambda event: None, fill=finish)
        self.stop, self.problem = threading.Event(), list[BaseException]()
        self.thread = threading.Thread(target=self._run)
        self.catches_up = False

    def _run(self) -> None:
        try:
            self.runner.run("caught-up" if self.catches_up else None, self.stop)
        except BaseException as error:
            self.problem.append(error)

    def heard(self) -> bool:
        """Whether somebody who asks is answered, and that long before the wait is over."""
        answered = threading.Event()
        caller = threading.Thread(target=lambda: self.runner.call(answered.set), daemon=True)
        caller.start()
        return answered.wait(LONG_MS / 1000 / 20)


@contextmanager
def running(app: hr.App, settings: Settings, *, catches_up: bool = False) -> Iterator[Running]:
    one = Running(app, settings)
    one.catches_up = catches_up
    with one.runner:
        one.thread.start()
        try:
            yield one
        finally:
            one.stop.set()
            one.thread.join()


@pytest.fixture
def tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The table stands in a file of SQLite; two epochs may wait for it, and nobody is patient."""
    monkeypatch.setattr(systems, "maker_of", lambda scheme, setting: SqliteSystem)
    narrow = partial(Delivery, pace=Pace(epochs_waiting_max=2))
    monkeypatch.setattr(destinations, "Delivery", narrow)
    monkeypatch.setattr(outage, "PATIENCE_SECONDS", 0.5)
    monkeypatch.setattr(delivering, "_STOP_SECONDS", 0.1)
    return Settings(tmp_path / "d", tables=f"sqlite:{tmp_path}/tables.sqlite", epoch_records_max=2)


@pytest.mark.parametrize("records", [0, 3])
def test_who_asks_and_who_stops_does_not_wait_for_the_interval(
    tmp_path: Path, records: int
) -> None:
    """Neither while nothing comes nor behind an epoch."""
    app, settings = made(), Settings(tmp_path, epoch_interval_ms=LONG_MS)
    send(settings, records)
    begun = time.monotonic()
    with running(app, settings) as one:
        until(lambda: one.runner.records == records and one.runner.running)
        assert one.heard()
        one.stop.set()
        one.thread.join()
    assert not one.problem and time.monotonic() - begun < LONG_MS / 1000 / 2


def test_what_lands_after_the_last_epoch_is_noted(tmp_path: Path) -> None:
    app, settings = made(lake=True), Settings(tmp_path, lake_interval_seconds=0.3)
    with running(app, settings) as one:
        send(settings, 7)

        def noted() -> bool:
            found = {d["name"]: d for d in status(one.runner)["destinations"]}["every"]
            ledger = one.runner.engine.ledger
            return found["landed"] == found["sent"] == 7 and ledger.mark("every") == ledger.epoch

        until(noted)
        until(lambda: topic_of(settings).readers() == {"views": [7]})
    assert not one.problem


def test_who_catches_up_gives_up_on_who_is_down_while_too_much_waits(tables: Settings) -> None:
    app = made()
    for _ in range(20):
        send(tables, 1)
    one = Running(app, tables)
    one.catches_up = True
    with one.runner, closing(sqlite3.connect((tables.tables or "").partition(":")[2])) as file:
        file.execute("begin exclusive")
        one.thread.start()
        one.thread.join(60)
        waits = one.thread.is_alive()
        one.stop.set()
        one.thread.join()
        assert not waits
        assert one.runner.records < 20, "some were not even read"
    [problem] = one.problem
    assert isinstance(problem, DestinationDown) and "SQLite" in str(problem)
    with running(app, tables, catches_up=True) as again:
        again.thread.join()
    assert not again.problem and again.runner.records == 20 - one.runner.records


@pytest.mark.parametrize("stopped", [False, True])
def test_a_start_hears_who_stops_it_and_sees_who_is_silent(
    tables: Settings, monkeypatch: pytest.MonkeyPatch, stopped: bool
) -> None:
    """Where more epochs than may wait were committed before."""
    app = made()
    (job,) = app.plan.jobs
    with JobRunner(job, tables, fill=finish) as runner:
        for _ in range(5):
            send(tables, 1)
            assert runner.engine.epoch(runner.clock.now_us(), 10) is not None
    let, asked, stop = threading.Event(), threading.Event(), threading.Event()
    problems = list[BaseException]()

    def silent(*_: object) -> int:
        asked.set()
        let.wait()
        raise Unreachable("it is too late")

    def start() -> None:
        try:
            with JobRunner(job, tables, fill=finish, stop=stop):
                pass
        except BaseException as error:
            problems.append(error)

    with monkeypatch.context() as broken:
        broken.setattr(SqliteTable, "deliver", silent)
        if not stopped:
            broken.setattr(delivering, "_SILENCE_SECONDS", 0.05)
        starting = threading.Thread(target=start, daemon=True)
        starting.start()
        assert asked.wait(60)
        if stopped:
            stop.set()
        starting.join(60)
        let.set()
        assert not starting.is_alive()
    [problem] = problems
    assert isinstance(problem, DestinationDown)
    assert ("no answer" in str(problem)) is not stopped
    with running(app, tables, catches_up=True) as again:
        again.thread.join()
        assert again.runner.engine.ledger.mark("counts") == 5
    assert not again.problem
