"""Runs trials until their goals are reached or their time is over, several at once.

A trial is a function of its seed and an empty directory; it raises where a promise does not hold,
and returns how much it did. A trial's seed hangs on the seed of the whole, the part and its number
alone, so that each can be run again by itself.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import active_children
from pathlib import Path

Trial = Callable[[int, Path], Mapping[str, int]]
_POLL_SECONDS = 0.05
# A part goes on when a trial found something, so that a long run says all that it finds.
_FAILURES_MAX = 5


class Failed(Exception):
    """A trial found something; the text names the command that runs it again."""


class TooSlow(Failed):
    """The time was over before a part had done what it is to do."""


@dataclass(frozen=True, eq=False)
class Part:
    """One promise and how it is tried.

    `share` is its part of the time, such as the minutes that its goals take on two cores; `short`
    how many trials `make test` runs (each a `short_trial`, where there is one), `goals` the least
    that the long form does of what trials count, `seconds_max` how long one trial may take,
    `absent` says why it cannot be tried here, if so. A `long_trial` is the whole of the long form:
    one, with nothing beside it, for about `minutes` of its own instead of a share.
    """

    name: str
    promise: str
    trial: Trial
    share: float = 1.0
    short: int = 1
    goals: Mapping[str, int] = field(default_factory=dict)
    seconds_max: float = 300.0
    short_trial: Trial | None = None
    long_trial: Trial | None = None
    minutes: float = 0.0
    absent: Callable[[], str] = lambda: ""


@dataclass
class Result:
    """What a part did."""

    part: Part
    trials: int = 0
    done: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    absent: str = ""

    def line(self) -> str:
        if self.absent:
            return f"{self.part.name}: {self.absent}"
        counts = ", ".join(f"{number:,} {what}" for what, number in sorted(self.done.items()))
        return f"{self.part.name}: {self.trials} trials in {self.seconds / 60:.1f} min: {counts}"

    @property
    def reached(self) -> bool:
        return not self.missing

    @property
    def missing(self) -> list[str]:
        """Of which goals there is too little, and how much."""
        done = ((what, self.done[what], goal) for what, goal in self.part.goals.items())
        return [f"{number:,} of {goal:,} {what}" for what, number, goal in done if number < goal]


def seed_of(seed: int, part: str, trial: int) -> int:
    """A trial's own seed, the same on every machine."""
    digest = hashlib.blake2b(f"{seed}/{part}/{trial}".encode(), digest_size=6)
    return int.from_bytes(digest.digest())


def tried(trial: Trial, seed: int, directory: Path) -> Mapping[str, int]:
    """A trial in this process; where it finds something, what it has begun is ended."""
    try:
        return trial(seed, directory)
    except BaseException:
        # Nobody wakes one that is held any more, and this process would wait for it at its end.
        for process in active_children():
            process.kill()
        raise


def again(seed: int, part: str, trial: int) -> str:
    """The command that runs one trial by itself, as a shell takes it."""
    return f"make torture SEED={seed} PART={shlex.quote(part)} TRIAL={trial}"


class Course:
    """Trials of one `seed`, up to `processes` at once, each in a process of its own."""

    def __init__(self, seed: int, processes: int = 2) -> None:
        self.seed, self.processes = seed, processes
        self.begin: Callable[[int, Part, int], Running] = Running

    def alone(self, part: Part, trial: int) -> Mapping[str, int]:
        """One trial in this process."""
        with tempfile.TemporaryDirectory(prefix=f"headrace-{part.name}-") as directory:
            run = part.long_trial or part.trial
            return tried(run, seed_of(self.seed, part.name, trial), Path(directory))

    def run(self, part: Part, seconds: float, seconds_max: float) -> Result:
        """Trials for `seconds`, and on until the goals are reached, for `seconds_max` at most.

        Of a part with a long trial that one alone. Raises Failed when a trial found something, once
        the others are done; what it found is printed at once. Raises TooSlow where goals are
        missing when the time is over; trials under way are ended then, as they are where the goals
        are reached.
        """
        if words := part.absent():
            return Result(part, absent=words)
        result, begun, number = Result(part), time.monotonic(), 0
        running: list[Running] = []
        failures: list[str] = []
        at_once = self.processes if part.long_trial is None else 1
        try:
            while (spent := time.monotonic() - begun) < seconds_max:
                over = spent >= seconds and result.reached
                if part.long_trial is not None:
                    over = number > 0
                over = over or len(failures) >= _FAILURES_MAX
                while not over and len(running) < at_once:
                    running.append(self.begin(self.seed, part, number))
                    number += 1
                for one in [r for r in running if r.ended()]:
                    running.remove(one)
                    result.trials += 1
                    try:
                        result.done.update(one.result())
                    except Failed as failure:
                        print(failure, file=sys.stderr, flush=True)
                        failures.append(one.again)
                if over and not running:
                    break
                time.sleep(_POLL_SECONDS)
        finally:
            for one in running:
                one.kill()
        result.seconds = time.monotonic() - begun
        if failures:
            raise Failed(f"{part.name}: {len(failures)} of {result.trials} trials found something")
        if running:
            result.done["trials ended before their end"] = len(running)
        if result.missing or not result.trials:
            reached = ", ".join(result.missing) or "no trial has come to its end"
            raise TooSlow(f"{part.name}: too slow, {reached}: {result.line()}")
        return result


class Running:
    """A trial in a process of its own; its processes and files are gone with it."""

    def __init__(self, seed: int, part: Part, number: int) -> None:
        self.part, self.number = part, number
        self.again = again(seed, part.name, number)
        self._directory = Path(tempfile.mkdtemp(prefix="headrace-trial-"))
        # PostgreSQL runs as a user of its own, who must get through.
        self._directory.chmod(0o711)
        self._output = self._directory / "output"
        self._begun = time.monotonic()
        options = ["--seed", str(seed), "--part", part.name, "--trial", str(number)]
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.torture", *options],
                stdout=output,
                stderr=subprocess.STDOUT,
                env=os.environ | {"TMPDIR": str(self._directory)},
                start_new_session=True,
            )

    def ended(self) -> bool:
        return self._process.poll() is not None or self._hangs()

    def _hangs(self) -> bool:
        return time.monotonic() - self._begun > self.part.seconds_max

    def result(self) -> Mapping[str, int]:
        """What it did. Raises Failed when it found something, or has not ended in its time."""
        said, code = self._said(), self._process.poll()
        self.kill()
        if code is None:
            raise Failed(f"{self.part.name} hangs: {self.again}\n{said}")
        if code != 0:
            raise Failed(f"{self.part.name} found something: {self.again}\n{said}")
        counts: dict[str, int] = json.loads(said.splitlines()[-1])
        return counts

    def kill(self) -> None:
        """Ends it, with all that it has begun."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for line in Path("/proc/self/mounts").read_text().splitlines():
            if (place := line.split()[1]).startswith(f"{self._directory}/"):
                subprocess.run(["umount", "-l", place.replace("\\040", " ")], check=False)
        shutil.rmtree(self._directory, ignore_errors=True)

    def _said(self) -> str:
        return self._output.read_text(errors="replace")[-6000:]
