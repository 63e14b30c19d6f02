"""A job that runs for long, is killed at random times and begun again, recomputed beside it."""

from __future__ import annotations

import posix
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from importlib import import_module
from pathlib import Path
from random import Random
from typing import Any

from headrace.storage.topics.log import LocalTopic
from tests.torture.kills import syncs
from tests.torture.kills.place import Place, Run, Subject
from tests.torture.soak.feeding import HASTE, START
from tests.torture.soak.site import app
from tests.torture.soak.watching import Watch

SUBJECT = Subject(
    app, "tests.torture.soak.site:app", "tests.torture.soak.site:app", "user_activity"
)
# A recompute and a proof go through all events that there ever were, and once more for each
# recompute before. Small epochs keep the rate so low that they get through the lake of a soak in
# minutes, and make as many of them as hours of large ones.
EPOCH_RECORDS_MAX = 4_000
PATIENCE_SECONDS = 900.0
KILLS_MIN = 2
_RECOMPUTED = timedelta(hours=2)


@dataclass(frozen=True)
class Sizes:
    """How long, how fast (records a second; None: half of what this machine can), how patient.

    Processes live for `life_seconds` on average, one of them for a third of the whole: what a
    process gathers shows in a long life only. `leasts` names the series that must
    level off; `share` of what is there, but at least this, they may gain, see `leveling`.
    """

    seconds: float
    rate: float | None
    segment_bytes: int
    retention_bytes: int
    life_seconds: float
    recompute_seconds: float
    look_seconds: float
    lag_seconds_max: float
    lake_interval_seconds: float
    lake_grace_seconds: int
    housekeeping_seconds: float
    share: float
    leasts: Mapping[str, float]

    def settings(self) -> dict[str, object]:
        return {
            "threads": 2,
            "epoch_records_max": EPOCH_RECORDS_MAX,
            "retention_bytes": self.retention_bytes,
            "lake_interval_seconds": self.lake_interval_seconds,
        }

    def place(self, data: Path, chance: Random) -> Place:
        """An empty directory for the job, whose processes are as patient as said here."""
        return Place(
            SUBJECT,
            data,
            chance,
            settings=self.settings(),
            before=partial(_prepare, self.lake_grace_seconds, self.housekeeping_seconds),
            segment_bytes=self.segment_bytes,
            patience_seconds=PATIENCE_SECONDS,
        )


@dataclass
class Lives:
    """The job's processes, one after another; the long life lies in the middle."""

    place: Place
    watch: Watch
    sizes: Sizes
    rate: float
    number: int = 0
    run: Run | None = None
    long: int | None = None
    long_from: float = 0.0
    _recompute: Run | None = None
    _life: float = 0.0
    _ends: float | None = None
    _recompute_at: float = 0.0

    @property
    def pid(self) -> int | None:
        return None if self.run is None else self.run.process.pid

    def go_on(self) -> None:
        """Begins, kills and recomputes what is due."""
        now = self.watch.seconds
        if self.run is None:
            self._begin(now)
        else:
            assert self.run.process.exitcode is None, f"it ended by itself: {self.run.text}"
            if self._ends is None and "job_started" in self.run.text:
                self._ends = now + self._life
                if self.number == self.long:
                    self.long_from = now
            if self._ends is not None and now >= self._ends and self._may_kill(now):
                self._kill()
        if self._recompute is not None and self._recompute.process.exitcode is not None:
            self._recomputed(self._recompute)
        if self._recompute is None and now >= self._recompute_at:
            begin = self._event_time() - _RECOMPUTED
            command = ("recompute", "APP", "--from", begin.isoformat(timespec="seconds"))
            self._recompute = self.place.start(*command)
            self._recompute_at = now + self.sizes.recompute_seconds

    def stop(self) -> None:
        """Ends what runs, in good order."""
        if self._recompute is not None:
            code = self._recompute.end(PATIENCE_SECONDS)
            assert code is not None, f"hangs: {self._recompute.text} {self.run and self.run.text}"
            self._recomputed(self._recompute)
        if self.run is not None:
            self.run.process.terminate()
            code = self.run.end(PATIENCE_SECONDS)
            assert code == 0, f"{code}: {self.run.text}"
            self.run = None

    def leave(self) -> None:
        """Ends what runs, whatever becomes of it."""
        for run in (self.run, self._recompute):
            if run is not None:
                run.kill()

    def _begin(self, now: float) -> None:
        self.number += 1
        chance = self.place.chance
        self._life = chance.expovariate(1 / self.sizes.life_seconds)
        # Most lives begin when the job does, so that they come to something on any machine.
        self._ends = now + self._life if chance.random() < 0.25 else None
        if self.long is None and now >= self.sizes.seconds / 3:
            self.long, self._life, self._ends = self.number, self.sizes.seconds / 3, None
        self.run = self.place.start("run", "APP")

    def _may_kill(self, now: float) -> bool:
        """Not once the time is over, where it waits only for what is still to happen."""
        return now < self.sizes.seconds or self.place.done["kills"] < KILLS_MIN

    def _event_time(self) -> datetime:
        """About where the feed is in its own time."""
        topic = LocalTopic.open(self.place.data / "topics", SUBJECT.topic)
        return START + timedelta(seconds=sum(topic.end_offsets()) / self.rate * HASTE)

    def _kill(self) -> None:
        assert self.run is not None
        self.run.kill()
        self.place.counted(self.run, "at random times")
        self.watch.killed()
        self.run = None

    def _recomputed(self, run: Run) -> None:
        """It may lose the job that it asked, or find nothing yet; it says so then."""
        assert "Traceback" not in run.text, run.text
        code = run.process.exitcode
        self.place.done["recomputes" if code == 0 else "recomputes, cut short"] += 1
        self.place.history.append(f"recompute: {code} {run.text[-300:]}")
        self._recompute = None


def _prepare(grace_seconds: int, housekeeping_seconds: float) -> None:
    """In a process of the job: syncs reach the disk, and what happens now and then is more often.

    A soak is shorter than the hour for which a lake keeps what it has replaced.
    """
    syncs.guard(_sync)
    lake = import_module("headrace.storage.lake.lake").DeltaLake
    lake.__init__.__kwdefaults__["grace_seconds"] = grace_seconds
    vars(import_module("headrace.engines.embedded.runner")).update(
        _HOUSEKEEPING_SECONDS=housekeeping_seconds
    )


def _sync(name: str, arguments: tuple[Any, ...]) -> None:
    if name in syncs.SYNCS:
        getattr(posix, name)(*arguments)
