"""Runs an app inside a test: the real engine on a directory of its own, one step at a time."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from headrace.engines.embedded.epochs.replay import replay_epochs
from headrace.engines.embedded.query import query
from headrace.engines.embedded.runner import JobRunner
from headrace.engines.kernel.watermark import NEVER_US
from headrace.ops.ingest.keys import KeyReader
from headrace.plan.operators import Job, Output, Plan
from headrace.proof.finishing import finish
from headrace.proof.recompute import recompute
from headrace.proof.report import Recomputation, Verification
from headrace.proof.verify import verify
from headrace.storage.topics.log import LocalTopic
from headrace.testing.differences import told
from headrace.testing.records import Sent, append
from headrace.values.clock import ManualClock, instant
from headrace.values.errors import DifferenceFound, UsageError, did_you_mean
from headrace.values.schema import quote
from headrace.values.settings import Settings

_ALL_RECORDS = 1 << 40


class Planned(Protocol):
    """An app, as far as a test needs it."""

    @property
    def plan(self) -> Plan:
        """The bound plan."""


class Driver:
    """An app under test. Make one with `run`.

    Nothing happens by itself: records wait in their topics until `epoch` reads them, or until
    something is asked for (`rows`, `counts`, `verify`, …), which reads all that was sent first.
    """

    def __init__(self, plan: Plan, directory: Path, start: datetime, threads: int) -> None:
        self.plan = plan
        self.clock = ManualClock(start)
        self._settings = Settings(directory, threads=threads, lake_interval_seconds=0.0)
        self._topics: dict[str, LocalTopic] = {}
        self._keys: dict[str, KeyReader] = {}
        self._stack = ExitStack()
        self.runners: dict[str, JobRunner] = {}

    def open(self) -> None:
        """Opens every job from what is on disk."""
        for job in self.plan.jobs:
            for source in job.sources:
                # Made here first, so that records arrive by the test's clock.
                self._topics[source.topic] = LocalTopic.ensure(
                    self._settings.data / "topics",
                    source.topic,
                    source.partitions,
                    clock=self.clock.now_us,
                )
        for job in self.plan.jobs:
            runner = JobRunner(job, self._settings, clock=self.clock, fill=finish)
            self.runners[job.id] = self._stack.enter_context(runner)

    def close(self) -> None:
        """Closes every job; what was sent and committed stays on disk."""
        self.runners = {}
        self._stack.close()

    def restart(self) -> None:
        """Stops every job and opens it again, as after the end of the process."""
        self.close()
        self.open()

    def send(self, topic: str, events: Iterable[Sent], *, partition: int | None = None) -> None:
        """Appends events to `topic`; without `partition` their keys say where they go.

        A dict becomes JSON (datetime, date and Decimal too); text and bytes go as they are.
        """
        sources = {s.topic: s for job in self.plan.jobs for s in job.sources}
        if topic not in sources:
            raise self._unknown(topic, list(sources))
        key = sources[topic].key
        if key is not None and topic not in self._keys:
            self._keys[topic] = KeyReader(key)
        append(self._topics[topic], self._keys.get(topic), events, partition)

    def advance(self, by: timedelta) -> None:
        """Moves the clock on: later records arrive later, later epochs have a later time."""
        self.clock.advance(by)

    def epoch(self, records_max: int = _ALL_RECORDS) -> int:
        """Commits one epoch in every job; returns how many records they read.

        `records_max` cuts it: about so many records are read and the rest waits.
        """
        read = 0
        for runner in self.runners.values():
            committed = runner.engine.epoch(self.clock.now_us(), records_max, alongside=runner.note)
            if committed is not None:
                runner.handed_over(committed)
                read += committed.records
        return read

    def rows(self, name: str) -> list[dict[str, Any]]:
        """What the destination `name` holds, in the order of its columns.

        Of a topic: partition, offset, key, value (parsed JSON, None for a delete) and arrival_time.
        """
        outputs = {o.name: (j, o) for j in self.plan.jobs for o in j.outputs}
        if name not in outputs:
            raise self._unknown(name, list(outputs))
        job, output = outputs[name]
        schema = f"{output.role}." if output.role in ("lake", "topic") else ""
        rows = self.query(f"select * from {schema}{quote(name)} order by all", job=job.id)
        if output.role == "topic":
            return [{**r, "value": r["value"] and json.loads(r["value"])} for r in rows]
        return rows

    def counts(self, name: str) -> dict[str, int]:
        """The sums of a source (by topic) or of the view or stream behind a destination.

        Such as accepted, applied, filtered, late, duplicate, failed and "filtered: <reason>". Where
        a source and a destination share a name: "source.<name>", or "lake.<name>" by its role.
        """
        self._catch_up()
        job, kind, owner = self._counted(name)
        found = self.runners[job.id].store.rows(
            "select counter, value from meta.counters where kind = ? and name = ?", [kind, owner]
        )
        return {counter: value for counter, value in found if value}

    def late(self, name: str) -> int:
        """How many records came too late for the view behind the destination `name`."""
        called = {o.name: _called(o) for job in self.plan.jobs for o in job.outputs}
        return self.counts(called.get(name, name)).get("late", 0)

    def dead_letters(self) -> list[dict[str, Any]]:
        """Every refused record (`view` None) and every record that a view failed on."""
        self._catch_up()
        sql = 'select * from dead_letters order by epoch, topic, "partition", "offset", view'
        return [row for runner in self.runners.values() for row in _rows(runner, sql)]

    def replay(self) -> int:
        """Judges the dead letters again; returns how many records are accepted now."""
        self._catch_up()
        accepted = 0
        for runner in self.runners.values():
            now_us = self.clock.now_us()
            accepted += replay_epochs(runner.engine, now_us, runner.handed_over).accepted
        return accepted

    def watermark(self, topic: str) -> datetime | None:
        """The source's watermark (UTC); None as long as it has none."""
        self._catch_up()
        for runner in self.runners.values():
            if topic in runner.engine.readers:
                at_us = runner.engine.readers[topic].position.watermark_us
                return None if at_us == NEVER_US else instant(at_us)
        raise self._unknown(topic, [s.topic for j in self.plan.jobs for s in j.sources])

    def query(self, sql: str, *, job: str | None = None) -> list[dict[str, Any]]:
        """The rows of one SELECT, as `headrace query` gives them.

        Of an app with several jobs, `job` is the id of the one to ask (by default the first).
        """
        self._catch_up()
        if job is not None and job not in self.runners:
            raise self._unknown(job, list(self.runners))
        return _rows(self.runners[job or self.plan.jobs[0].id], sql)

    def recompute(self) -> tuple[Recomputation, ...]:
        """Recomputes what is closed from all events, late ones too, and writes corrections."""
        self._catch_up()
        return tuple(recompute(runner) for runner in self.runners.values())

    def verify(self) -> tuple[Verification, ...]:
        """Proves every job; raises DifferenceFound, with the differences, where one fails."""
        self._catch_up()
        found = tuple(verify(runner) for runner in self.runners.values())
        for one in found:
            if not one.holds:
                raise DifferenceFound(told(one))
        return found

    def _catch_up(self) -> None:
        """Reads all that was sent, shows what sliding views hold back, lands all deliveries."""
        while self.epoch():
            pass
        for runner in self.runners.values():
            runner.settle()
        if any(runner.engine.unread() for runner in self.runners.values()):
            # A job has read what another one has just written.
            self._catch_up()

    def _counted(self, name: str) -> tuple[Job, str, str]:
        """(job, kind, name) under which the sums of a source or destination are kept."""
        found: dict[str, tuple[Job, str, str]] = {}
        for job in self.plan.jobs:
            found |= {_called(o): (job, "view", o.input) for o in job.outputs}
        for job in self.plan.jobs:
            for source in job.sources:
                found.setdefault(f"source.{source.topic}", (job, "source", source.topic))
        if name in found:
            return found[name]
        named = [called for called in found if called.partition(".")[2] == name]
        if not named:
            raise self._unknown(name, [called.partition(".")[2] for called in found])
        if len(named) > 1:
            which = " or ".join(f'"{called}"' for called in named)
            raise UsageError(f"{name!r} names {' and '.join(named)}", remedy=f"Say which: {which}.")
        return found[named[0]]

    def _unknown(self, name: str, valid: list[str]) -> UsageError:
        return UsageError(f"{self.plan.app} has no {name!r}", remedy=did_you_mean(name, valid))


def _called(output: Output) -> str:
    """A destination's name behind its role, which no other has."""
    return f"{output.role}.{output.name}"


def _rows(runner: JobRunner, sql: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = query(runner, sql).to_pylist()
    return rows


@contextmanager
def run(app: Planned, *, start: datetime | None = None, threads: int = 1) -> Iterator[Driver]:
    """Opens every job of `app` on a temporary directory; gone at the end.

    The clock stands at `start` (UTC; by default the present) until it is moved.
    """
    begin = start or datetime.now(UTC)
    with tempfile.TemporaryDirectory(prefix="headrace-test-") as directory:
        driver = Driver(app.plan, Path(directory), begin, threads)
        try:
            driver.open()
            yield driver
        finally:
            driver.close()
