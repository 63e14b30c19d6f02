"""A job that runs for long, is killed at random times and begun again, recomputed beside it."""

from __future__ import annotations

import posix
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from headrace.storage.topics.log import LocalTopic
from tests.torture.kills import syncs
from tests.torture.kills.child import Seldom
from tests.torture.kills.place import Place, Run, Subject
from tests.torture.soak.feeding import HASTE, START
from tests.torture.soak.leveling import Level, Points, level
from tests.torture.soak.site import app
from tests.torture.soak.watching import OF_PROCESS, Watch

SUBJECT = Subject(
    app, "tests.torture.soak.site:app", "tests.torture.soak.site:app", "user_activity"
)
# A record and its part of the index, in the log; more or less.
_RECORD_BYTES = 150
PATIENCE_SECONDS = 900.0
KILLS_MIN = 2
PASSED_ON = "enriched_activity"
_RECOMPUTED = timedelta(hours=2)


@dataclass(frozen=True)
class Sizes:
    """How long, how fast (records a second; None: half of what this machine can), how patient.

    Processes live for `life_seconds` on average, one of them for half of the whole: what a
    process gathers shows in a long life only; it has `long_epochs_min` epochs at least, so that
    what one of them leaves behind adds up on any machine. `leasts` names the series that must
    level off; `share` of what is there, but at least this, they may gain, see `leveling`. What a
    process holds may gain this alone: a tenth of its memory would be a leak.
    """

    seconds: float
    rate: float | None
    epoch_records_max: int
    long_epochs_min: int
    segment_bytes: int
    life_seconds: float
    recompute_seconds: float
    look_seconds: float
    lag_seconds_max: float
    lake_interval_seconds: float
    seldom: Seldom
    share: float
    leasts: Mapping[str, float]

    def level(self, name: str, points: Points) -> Level:
        """Judges the series of this name."""
        if name in OF_PROCESS:
            return level(name, points, 0.0, self.leasts[name], np.min)
        return level(name, points, self.share, self.leasts[name])

    def place(self, data: Path, chance: Random, rate: float | None = None) -> Place:
        """An empty directory for the job, whose processes are as patient as said here.

        With a `rate` retention keeps more than the job may fall behind, so that the log has one
        size, whether the job is behind or not.
        """
        settings: dict[str, object] = {
            "threads": 2,
            "memory_limit": "512MB",
            "epoch_records_max": self.epoch_records_max,
            "lake_interval_seconds": self.lake_interval_seconds,
        }
        if rate is not None:
            kept = 1.5 * self.lag_seconds_max * rate * _RECORD_BYTES
            settings["retention_bytes"] = int(kept)
        return Place(
            SUBJECT,
            data,
            chance,
            settings=settings,
            before=_prepare,
            segment_bytes=self.segment_bytes,
            seldom=self.seldom,
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
    _long_at: int = 0
    _recompute: Run | None = None
    _life: float = 0.0
    _ends: float | None = None
    _recompute_at: float = 0.0

    @property
    def pid(self) -> int | None:
        return None if self.run is None else self.run.process.pid

    @property
    def recomputing(self) -> bool:
        return self._recompute is not None

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
                    self.long_from, self._long_at = now, self._passed_on()
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
            self.long, self._life, self._ends = self.number, self.sizes.seconds / 2, None
        self.run = self.place.start("run", "APP")

    def _may_kill(self, now: float) -> bool:
        """Not once the time is over, where it waits only for what is still to happen."""
        if self.number == self.long and not self.long_enough:
            return False
        return now < self.sizes.seconds or self.place.done["kills"] < KILLS_MIN

    @property
    def long_enough(self) -> bool:
        """Whether the long life has had its epochs, by the records that it has passed on."""
        if self.long is None or not self.long_from:
            return False
        records = self.sizes.long_epochs_min * self.sizes.epoch_records_max
        return self.number > self.long or self._passed_on() - self._long_at >= records

    def _passed_on(self) -> int:
        """Records in the topic that the job writes."""
        topics = self.place.data / "topics"
        if not (topics / PASSED_ON).exists():
            return 0
        return sum(LocalTopic.open(topics, PASSED_ON).end_offsets())

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


def _prepare() -> None:
    """In a process of the job: syncs reach the disk."""
    syncs.guard(_sync)


def _sync(name: str, arguments: tuple[Any, ...]) -> None:
    if name in syncs.SYNCS:
        getattr(posix, name)(*arguments)
