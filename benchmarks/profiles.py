"""Where the time of a run went, by thread and stage, whatever kind of run it was."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from benchmarks import goals
from benchmarks.connected import KAFKA
from benchmarks.live import live_runs
from benchmarks.runs import Run, Runs, largest
from benchmarks.sizes import Sizes

WAITING = ("wait for records",)


class UnknownStage(Exception):
    """A text of the page is about a stage that a run does not have."""


@dataclass(frozen=True)
class Profile:
    """The stages of one run over `seconds`, in which all its threads spent `cpu_seconds`.

    `count` of `unit` (events, epochs) were done meanwhile.
    """

    title: str
    unit: str
    count: int
    seconds: float
    cpu_seconds: float
    stages: list[dict[str, Any]]

    @property
    def cores(self) -> float:
        """How many it used on the average."""
        return self.cpu_seconds / self.seconds

    @property
    def cpu_us(self) -> float:
        """CPU of one of its units, in microseconds."""
        return self.cpu_seconds / self.count * 1e6

    def of_time(self, *names: str) -> float:
        """The share of the time that was spent in these threads and stages."""
        return sum(s["seconds"] for s in self._chosen(names)) / self.seconds

    def of_cpu(self, *names: str) -> float:
        """The share of all CPU that their own threads spent in these threads and stages."""
        return sum(s["own_cpu_seconds"] for s in self._chosen(names)) / self.cpu_seconds

    @property
    def of_cpu_elsewhere(self) -> float:
        """The share of the CPU that no stage's own thread spent: DuckDB's and Arrow's threads."""
        own = sum(s["own_cpu_seconds"] for s in self.stages)
        return 1 - own / self.cpu_seconds

    def _chosen(self, names: tuple[str, ...]) -> Iterator[dict[str, Any]]:
        """Stages of a thread `NAME`, or `NAME` themselves, or `OUTPUT: NAME`, or of an output.

        Raises UnknownStage where there is none of some name: it may have been renamed.
        """
        parts = [{s["thread"], s["stage"], *s["stage"].split(": ")} for s in self.stages]
        if unknown := set(names).difference(*parts):
            raise UnknownStage(f"{self.title} has no stage {', '.join(sorted(unknown))}")
        for stage, of in zip(self.stages, parts, strict=True):
            if of & set(names):
                yield stage


def profile_of(run: Run, title: str, count: int, unit: str = "event") -> Profile:
    """That of a run, from what it reported."""
    report = run["report"]
    if "profile" in report:
        found = report["profile"]
        seconds, cpu = found["seconds"], found["cpu_seconds"]
    else:
        # Of the command line: CPU is that of its whole process.
        found = report["jobs"][0] if "jobs" in report else report
        seconds, cpu = found["seconds"], run["cpu_seconds"]
    return Profile(title, unit, count, seconds, cpu, found["stages"])


def profiles(limit: str, runs: Runs, sizes: Sizes) -> Iterator[Profile]:
    """Those that belong to what stands in the way of a goal, of the runs that there are."""

    def most(title: str, name: str) -> list[tuple[str, str, int]]:
        count = largest(runs, sizes.events, name)
        return [(title, f"{name} {count}", count)]

    named = {
        "five": most("five outputs", "five outputs"),
        "both": most("from files", "five from files"),
        "count": [("one count", f"one count {sizes.peer_count}", sizes.peer_count)],
        "ingest": most("ingest", "ingest"),
        "kafka": [("from Kafka", KAFKA, sizes.connected_events)],
        "keys": [(f"{goals.KEYS:,} keys", f"curve keys {goals.KEYS}", 2 * goals.KEYS)],
        "long": [("long run", "long", sizes.long_events)],
        "recompute": [("recompute", f"recompute {goals.MANY}", goals.MANY)],
        "verify": [("verify", f"verify {goals.MANY}", goals.MANY)],
    }
    for title, name, count in named.get(limit, ()):
        if name in runs:
            yield profile_of(runs[name][-1], f"{title}, {count:,} events", count)
    if limit == "live":
        for live in live_runs(sizes):
            if live.name in runs and not live.preload:
                run = runs[live.name][0]
                title = f"live at {live.rate:,} events/s, asked after {live.pause_ms} ms"
                yield profile_of(run, title, run["epochs"], "epoch")
