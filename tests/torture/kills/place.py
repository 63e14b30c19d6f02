"""A data directory under trial: what is run in it, killed in it, and what it ends with."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from random import Random
from typing import Any

from headrace import App
from headrace.apps.activity import app as activity
from headrace.storage.topics.log import LocalTopic
from tests.torture.kills import everything, leading
from tests.torture.kills.child import SEGMENT_BYTES, Call, Seldom
from tests.torture.kills.everything import write_lines

_SECONDS_MAX = 120.0
# The command line names the app as it was typed.
_COMMAND = re.compile(r"headrace (state \w+ \S+[^\n,;]*)")
KILLED, REFUSED = -9, 5
_START, _SECONDS_APART = datetime(2026, 1, 5), 6


@dataclass(frozen=True)
class Subject:
    """An app under trial: how the command line names it, and where its plan is.

    `earlier` is what an earlier version of it said, of which the state is.
    """

    app: App
    spec: str
    place: str
    topic: str
    earlier: App | None = None


ACTIVITY = Subject(activity, "activity", "headrace.apps.activity:app", "user_activity")
EVERYTHING, *_FIXED = (
    Subject(app, f"{everything.__name__}:{name}", f"{everything.__name__}:{name}", "things", before)
    for name, app, before in (
        ("app", everything.app, everything.earlier),
        ("wider", everything.wider, None),
        ("widest", everything.widest, None),
    )
)
SUBJECTS = (ACTIVITY, EVERYTHING)


def accepting_more(subject: Subject) -> Subject:
    """The subject after a fix: it accepts more. Itself where there is nothing to fix."""
    versions = [EVERYTHING, *_FIXED]
    return versions[versions.index(subject) + 1] if subject in versions[:-1] else subject


@dataclass
class Run:
    """A command under way, or what became of it."""

    process: BaseProcess
    said: Path

    def end(self, seconds: float = _SECONDS_MAX) -> int | None:
        """Waits; its exit code, None while it runs."""
        wait([self.process.sentinel], seconds)
        return self.process.exitcode

    def kill(self) -> bool:
        """Kills it; whether it was still running."""
        self.process.kill()
        return self.end() == KILLED

    def hold(self) -> None:
        """Stops it, if it has not ended; `wake` lets it go on."""
        self._signal(signal.SIGSTOP)

    def wake(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        if self.process.exitcode is None:
            assert self.process.pid is not None
            os.kill(self.process.pid, number)

    def is_stopped(self) -> bool:
        try:
            stat = Path(f"/proc/{self.process.pid}/stat").read_text()
        except FileNotFoundError:
            return False
        return stat.rpartition(")")[2].split()[0] == "T"

    def waits_for_a_lock(self) -> bool:
        """Whether somebody else, who may be stopped, holds a lock that it has asked for."""
        asked = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
        return any(words[1] == "->" and int(words[5]) == self.process.pid for words in asked)

    @property
    def has_job(self) -> bool:
        """Whether it has opened all that it delivers to."""
        return "job_started" in self.text

    @property
    def text(self) -> str:
        if not self.said.exists():
            return ""
        return self.said.read_text(encoding="utf-8", errors="replace")


@dataclass
class Place:
    """`data` of a subject; `done` counts what was done to it.

    `earlier` says that it is run as the subject's earlier version, `rebuilds` that it was.
    """

    subject: Subject
    data: Path
    chance: Random
    done: Counter[str] = field(default_factory=Counter)
    settings: Mapping[str, object] = field(default_factory=dict)
    after_kill: Callable[[], None] = lambda: None
    before: Callable[[], None] | None = None
    segment_bytes: int = SEGMENT_BYTES
    seldom: Seldom = Seldom()
    patience_seconds: float = _SECONDS_MAX
    history: list[str] = field(default_factory=list)
    options: tuple[str, ...] = ()
    writing: tuple[str, ...] = leading.WRITING
    beginning: tuple[str, ...] = leading.BEGINNING
    earlier: bool = False
    rebuilds: bool = False
    idle: bool = False  # whether nothing was written since a run caught up
    _runs: int = 0
    _filled: int = 0
    _given: int = 0  # records to be in the log, each once

    def start(
        self,
        *command: str,
        at: str = "",
        stops: bool = False,
        data: Path | None = None,
        **settings: object,
    ) -> Run:
        """Begins `headrace COMMAND SPEC … --data DATA`."""
        self._runs += 1
        said = self.data.with_name(f"said-{self._runs}")
        words = [self.subject.spec if word == "APP" else word for word in command]
        if self.rebuilds and command[0] == "run":
            words.append("--rebuild")
        self.history.append(f"{' '.join(command)} {at} {settings}")
        call = Call(
            (*words, "--data", str(data or self.data)),
            said,
            {**self.settings, **settings},
            at,
            stops,
            {self.subject.place: self._app().plan},
            segment_bytes=self.segment_bytes,
            seldom=self.seldom,
            before=self.before,
        )
        return Run(call.start(), said)

    def go_on(self) -> bool:
        """Runs it from here on as what it is; whether it was run as an earlier version."""
        was, self.earlier = self.earlier, False
        self.rebuilds = self.rebuilds or was
        return was

    def _app(self) -> App:
        if self.earlier:
            assert self.subject.earlier is not None
            return self.subject.earlier
        return self.subject.app

    def run(self, *command: str, **settings: object) -> str:
        """Runs a command to its end, which must be good; what it said."""
        run = self.start(*command, **settings)
        code = run.end(self.patience_seconds)
        assert code == 0, f"{command}: {code}\n{run.text}"
        return run.text

    def counted(self, run: Run, what: str) -> bool:
        """Counts a run that was killed; checks one that ended by itself before."""
        if run.process.exitcode == KILLED:
            self.done["kills"] += 1
            self.done[what] += 1
            self.history.append("killed")
            self.after_kill()
            return True
        assert run.process.exitcode == 0, f"{run.process.exitcode}: {run.text}"
        self.idle = True
        return False

    def kill_at(self, point: str, *command: str, **settings: object) -> bool:
        """Runs until a named point (`NAME:n`), where the run is killed, or to its end."""
        run = self.start(*command, at=point, **settings)
        assert run.end() is not None, f"{command} hangs: {run.text}"
        name, _, nth = point.partition(":")
        killed = self.counted(run, f"at {name}")
        self.done["at later passes of a point"] += killed and nth not in ("", "1")
        return killed

    def kill_after(
        self,
        seconds: float,
        *command: str,
        what: str = "at random times",
        with_job: bool = False,
        **settings: object,
    ) -> bool:
        """Runs for so long, then kills, which is counted as `what`; False where it ended before.

        The time begins where the run has its job, if it is to die `with_job`.
        """
        run = self.start(*command, **settings)
        if with_job:
            begun(run)
        run.end(seconds)
        run.kill()
        killed = self.counted(run, what)
        before = killed and command[0] == "run" and not run.has_job
        self.done["of these before they had a job"] += before
        return killed

    def finish(self) -> None:
        """Runs until caught up; where it stops in words, what they name is done first."""
        for _ in range(4):
            run = self.start("run", "APP", "--until", "caught-up")
            code = run.end(self.patience_seconds)
            if code == 0:
                self.idle = True
                return
            self.follow(run)
        raise AssertionError(f"the words led nowhere: {run.text}")

    def follow(self, run: Run) -> None:
        """Does what the words of a run that stopped say."""
        assert run.process.exitcode == REFUSED, f"{run.process.exitcode}: {run.text}"
        assert "Traceback" not in run.text, run.text
        named = _COMMAND.search(run.text)
        assert named, f"no command is named: {run.text}"
        self.done["stops in words, followed"] += 1
        self.history.append(run.text.strip())
        command = (*shlex.split(named[1]), "--yes")
        if self.chance.random() < 0.5:
            self.done["kills of what words name"] += self._killed_early(*command)
        self.run(*command)

    def _killed_early(self, *command: str) -> bool:
        """Runs a command that is to be given again, and kills it; False where it ended before."""
        if self.chance.random() < 0.5:
            return self.kill_after(self.chance.uniform(0.1, 0.6), *command)
        point = self.chance.choice(("state.before_commit", "state.committed"))
        return self.kill_at(point, *command)

    def fill(self, count: int, *at: str, killed: bool = True) -> tuple[str, ...]:
        """Adds `count` records to the source's topic, killed at `at`, if `killed` now and then too.

        What a killed command has not written its next try writes, and each record once. Returns
        the command.
        """
        self.data.mkdir(parents=True, exist_ok=True)
        points = self.writing if self._filled else self.writing + self.beginning
        command = (*self._writing(count), *self.options)
        self._filled += count
        for point in at:
            self.kill_at(point, *command)
        while killed and self.chance.random() < 0.3:
            if self.chance.random() < 0.7:
                self.kill_at(f"{self.chance.choice(points)}:1", *command)
            else:
                self.kill_after(self.chance.uniform(0, 0.4), *command)
        self.run(*command)
        self.idle = False
        if "topics" not in self.settings:
            topic = LocalTopic.open(self.data / "topics", self.subject.topic)
            there = sum(topic.end_offsets())
            assert there == self._given, f"{there} records in the log, of {self._given}"
        return command

    def _writing(self, count: int) -> tuple[str, ...]:
        """The command that writes the next `count` records."""
        if self.subject.app is not activity:
            path = self.data.with_name(f"lines-{self._filled}.ndjson")
            write_lines(path, self.chance, count, self._filled)
            self._given += path.read_bytes().count(b"\n")
            return "ingest", "APP", "things", str(path)
        self._given += count
        begin = _START + timedelta(seconds=self._filled * _SECONDS_APART)
        options = {
            "--count": count,
            "--rate": 1 / _SECONDS_APART,
            "--late-every": 40,
            "--seed": self.chance.getrandbits(20),
            "--start": begin.isoformat(),
            "--malformed-every": 200,
        }
        return "simulate", "APP", *(str(word) for pair in options.items() for word in pair)

    def copy(self, data: Path, parts: tuple[str, ...] = ("",)) -> Path:
        """The files as they are, elsewhere; `parts` of them only."""
        for part in parts:
            if (self.data / part).exists():
                shutil.copytree(self.data / part, data / part, dirs_exist_ok=True)
        return data


def stopped(run: Run) -> bool:
    """Waits until a run has stopped itself; False where it ended."""
    _wait(run, run.is_stopped, _SECONDS_MAX)
    assert run.is_stopped() or run.process.exitcode is not None, f"hangs: {run.text}"
    return run.process.exitcode is None


def begun(run: Run, seconds: float = _SECONDS_MAX) -> None:
    """Waits until a run has taken the job, or has ended, or is held up by one that was stopped.

    That one may have been stopped while it held the lock of a topic. No time says so: on a machine
    with much else to do a start takes long.
    """
    _wait(run, lambda: run.has_job or run.waits_for_a_lock(), seconds)


def _wait(run: Run, condition: Callable[[], bool], seconds: float) -> None:
    """Until it holds, or the run has ended, at most so long."""
    until = time.monotonic() + seconds
    while not condition() and time.monotonic() < until:
        if run.end(0.01) is not None:
            return


def restored(aside: Path, target: Path) -> None:
    """Puts an older copy in the place of what is there."""
    shutil.rmtree(target)
    shutil.copytree(aside, target)


def told(done: Mapping[str, Any]) -> dict[str, int]:
    """The counts of a trial, by what was done."""
    return {name: int(number) for name, number in done.items()}
