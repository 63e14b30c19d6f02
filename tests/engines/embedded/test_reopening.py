"""A table that was restored under a running job, while what is to be opened with it is away."""

from __future__ import annotations

import pickle
import shutil
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from headrace.engines.embedded.deliveries import outage
from headrace.engines.embedded.runner import JobRunner
from headrace.ops.jobs.status import status
from headrace.proof.finishing import finish
from headrace.proof.verify import verify
from headrace.storage import systems
from headrace.storage.topics.log import LocalTopic
from headrace.testing.records import append
from headrace.values.errors import StateRefused, Unreachable
from headrace.values.settings import Settings
from headrace.values.telemetry import DestinationBack, DestinationDown, Event, TableFilled
from tests.storage.sqlite_system import SqliteSystem, SqliteTable
from tests.views.cases import thing, things

TRIES = 12


class Job:
    """A job that runs in a thread, its tables in a file that can be put back as it was."""

    def __init__(self, directory: Path) -> None:
        app, source = things()
        app.lake("every", source)
        for name in ("counts", "others"):
            app.table(name, source.by("who").agg(c="count(*)"))
        self.app, self.file = app, directory / "tables.sqlite"
        self.settings = Settings(
            directory / "d", tables=f"sqlite:{self.file}", lake_interval_seconds=0.0
        )
        self.told: list[Event] = []
        self.problem: BaseException | None = None
        self.stop, self.count = threading.Event(), 0

    def send(self) -> None:
        topic = LocalTopic.ensure(self.settings.data / "topics", "things", 1)
        append(topic, None, [thing(self.count + n) for n in range(10)], 0)
        self.count += 10

    def run(self, until: Any = None) -> None:
        with suppress(BaseException):
            try:
                (job,) = self.app.plan.jobs
                with JobRunner(job, self.settings, tell=self.told.append, fill=finish) as runner:
                    self.runner = runner
                    runner.run(until, self.stop)
            except BaseException as error:
                self.problem = error
                raise

    def of(self, kind: type[Event]) -> list[Any]:
        return [event for event in self.told if isinstance(event, kind)]

    def landed(self) -> bool:
        """Whether both tables have everything."""
        rows = SqliteSystem(self.settings.tables or "").snapshot([])._held
        return [pickle.loads(row)["c"] for _, row in rows] == [self.count] * 2


def until(holds: Callable[[], bool], job: Job) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert job.problem is None, job.problem
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Job:
    monkeypatch.setattr(systems, "maker_of", lambda scheme, setting: SqliteSystem)
    monkeypatch.setattr(outage, "_RETRY_SECONDS", (0.01,))
    made = Job(tmp_path)
    made.send()
    made.run("caught-up")
    assert made.problem is None
    shutil.copy(made.file, made.file.with_suffix(".copy"))
    made.send()
    made.run("caught-up")
    return made


class Away:
    """What stands in for a system that answers nobody who opens it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, error: type[Exception]) -> None:
        self.is_away, look = False, SqliteTable.look

        def looked(table: SqliteTable, job: str) -> Any:
            if self.is_away:
                raise error("nobody answers")
            return look(table, job)

        monkeypatch.setattr(SqliteTable, "look", looked)


def test_it_is_opened_for_as_long_as_it_takes(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    away, thread = Away(monkeypatch, Unreachable), threading.Thread(target=job.run)
    thread.start()
    until(lambda: hasattr(job, "runner") and job.runner.running, job)
    away.is_away = True
    shutil.copy(job.file.with_suffix(".copy"), job.file)
    job.send()
    until(lambda: len(job.of(DestinationDown)) >= TRIES, job)
    assert {e.problem for e in job.of(DestinationDown)} == {"nobody answers"}
    # Whoever asks is answered meanwhile, and told what is down.
    down = {d["name"]: d["down"] for d in status(job.runner)["destinations"]}
    assert down == dict.fromkeys(("every", "counts", "others"), "nobody answers")
    away.is_away = False
    until(lambda: job.landed() and len(job.of(DestinationBack)) == 3, job)
    assert {e.destination for e in job.of(TableFilled)} == {"counts", "others"}
    job.send()
    until(job.landed, job)
    job.stop.set()
    thread.join()
    assert job.problem is None
    with JobRunner(job.app.plan.jobs[0], job.settings, fill=finish) as runner:
        assert all(c.compared and c.different == 0 for c in verify(runner).checked)


@pytest.mark.parametrize("stopped", [True, False], ids=["asked to stop", "caught up"])
def test_who_does_not_wait_for_ever_is_told_what_does_not_answer(
    job: Job, monkeypatch: pytest.MonkeyPatch, stopped: bool
) -> None:
    monkeypatch.setattr(outage, "PATIENCE_SECONDS", 0.5)
    away = Away(monkeypatch, Unreachable)
    thread = threading.Thread(target=job.run, args=(None if stopped else "caught-up",))
    behind = threading.Event()
    deliver = SqliteTable.deliver

    def restored_first(table: SqliteTable, *given: Any) -> int:
        """Before the first delivery of the start the place is put back, and away."""
        if not behind.is_set():
            shutil.copy(job.file.with_suffix(".copy"), job.file)
            away.is_away = True
            behind.set()
        return deliver(table, *given)

    monkeypatch.setattr(SqliteTable, "deliver", restored_first)
    job.send()
    thread.start()
    if stopped:
        until(lambda: len(job.of(DestinationDown)) >= TRIES, job)
        job.stop.set()
    thread.join(30)
    assert not thread.is_alive() and isinstance(job.problem, Unreachable)
    away.is_away, job.problem = False, None
    job.stop.clear()
    job.run("caught-up")
    assert job.problem is None and job.landed()


def test_what_does_not_pass_ends_the_job(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    away, thread = Away(monkeypatch, StateRefused), threading.Thread(target=job.run)
    thread.start()
    until(lambda: hasattr(job, "runner") and job.runner.running, job)
    away.is_away = True
    shutil.copy(job.file.with_suffix(".copy"), job.file)
    job.send()
    thread.join(30)
    assert not thread.is_alive() and isinstance(job.problem, StateRefused)
    assert not job.of(DestinationDown)
