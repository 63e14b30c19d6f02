"""Everything that reads one log of so many events: Headrace, the scripts, the peers.

Headrace and the scripts run in turns, so that a change of the machine meets all alike, and each
has one figure wherever the page shows it.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from benchmarks import children, inputs
from benchmarks.children import MeasurementFailed
from benchmarks.fed import checked
from benchmarks.peer_runs import PeerRuns
from benchmarks.runs import Notes, Run
from benchmarks.sizes import APP, TOPIC, Sizes

SCRIPTS = {"plain": "duckdb_batch", "fastest": "duckdb_batch_fast"}
# Of each pipeline: Headrace's app, what its run from files is noted as, and that with `ingest`.
_FROM_FILES = {
    "five": ("benchmarks.activity_five", "five from files", "both"),
    "count": ("benchmarks.activity_count", "count from files", "both count"),
}


class OneSize:
    """Notes runs as `NAME COUNT`; what the last run of the five outputs left is there to compare.

    Below `directory`; nothing of it stays.
    """

    def __init__(self, count: int, sizes: Sizes, notes: Notes, peers: PeerRuns) -> None:
        self.count, self.sizes, self.notes, self.peers = count, sizes, notes, peers
        self.directory = sizes.directory / f"events-{count}"
        self.data, self.files = self.directory / "data", self.directory / "files"
        self.whole = count in sizes.events
        self.repeats = sizes.repeats_of(count)

    def all(self) -> None:
        pipelines = self.peers.pipelines(self.count)
        with self._input():
            if "count" in pipelines:
                with self._trying("one count"):
                    self._count_alone()
            # Of a size for the count alone the five outputs are only there to compare with.
            several = self.whole or "five" in pipelines
            for number in range(self.repeats if several else 1):
                with self._trying("five outputs"):
                    self._five()
                if several and self.files.exists():
                    with self._trying("from files"):
                        self._from_files("five", compare=number == 0)
                if self.whole and self.files.exists():
                    with self._trying("scripts"):
                        self._scripts(first=number == 0)
            if self._counted.exists():
                with self._trying("rows of one count"):
                    self._compare("fastest count", self._counted)
            if self.whole:
                with self._trying("proofs"):
                    self._proofs()
            self.peers.of_size(self.count, self.data, self.files)

    def _trying(self, what: str) -> AbstractContextManager[None]:
        return self.notes.trying(f"{what}, {self.count:,} events")

    @property
    def _counted(self) -> Path:
        """What the fastest script of the count alone left."""
        return self.directory / "counted"

    @contextmanager
    def _input(self) -> Iterator[None]:
        shutil.rmtree(self.directory, ignore_errors=True)
        self.directory.mkdir(parents=True)
        self.fed = inputs.simulate(self.data, self.count)
        if self.count <= self.sizes.files_max or self.peers.pipelines(self.count):
            self.notes.note(f"input {self.count}", inputs.to_files(self.data, self.files))
        try:
            yield
        finally:
            shutil.rmtree(self.directory)

    def _count_alone(self) -> None:
        """One tumbling count, and the fastest script of it."""
        for _ in range(self.repeats):
            self._ours("one count", self.data, "benchmarks.activity_count")
            shutil.rmtree(self._counted, ignore_errors=True)
            self._script("fastest count", "fastest", self._counted, "count")
            self._from_files("count", compare=False)

    def _five(self) -> None:
        self._ours("five outputs", self.data, "benchmarks.activity_five")

    def _ours(self, name: str, data: Path, module: str) -> None:
        inputs.forget_results(data)
        ended = checked(children.python("benchmarks.measure.throughput", data, module), self.fed)
        self.notes.timed(f"{name} {self.count}", self.count, ended, ended.report["seconds"])

    def _from_files(self, pipeline: str, *, compare: bool) -> None:
        """`ingest`, and the pipeline of what it made."""
        module, noted, both = _FROM_FILES[pipeline]
        target, files = self.directory / "ingested", sorted(self.files.iterdir())
        shutil.rmtree(target, ignore_errors=True)
        ended = children.headrace("ingest", APP, TOPIC, *files, "--data", target)
        if ended.report["added"] != self.count:
            raise MeasurementFailed(f"ingest added {ended.report['added']:,} of {self.count:,}")
        self.notes.timed(f"ingest {self.count}", self.count, ended, ended.report["seconds"])
        self._ours(noted, target, module)
        self.notes.note(f"{both} {self.count}", self._both("ingest", noted))
        if compare:
            self._compare("both", target)
        shutil.rmtree(target)

    def _both(self, *names: str) -> Run:
        """The last `ingest` and the run that read what it made, one after the other."""
        parts = [self.notes.runs[f"{name} {self.count}"][-1] for name in names]
        run: Run = {k: max(p[k] for p in parts) for k in ("peak_mib", "anonymous_mib")}
        run |= {k: sum(p[k] for p in parts) for k in ("seconds", "cpu_us_per_event")}
        walls = sum(p["wall_seconds"] for p in parts)
        others = sum(p["other_cores"] * p["wall_seconds"] for p in parts) / walls
        cold = self.count / sum(self.count / part["cold_per_second"] for part in parts)
        rates = {"events_per_second": self.count / run["seconds"], "cold_per_second": cold}
        return run | rates | {"events": self.count, "other_cores": others}

    def _scripts(self, *, first: bool) -> None:
        target = self.directory / "script"
        for name in SCRIPTS:
            shutil.rmtree(target, ignore_errors=True)
            self._script(name, name, target)
            if first:
                self._compare(name, target)
            shutil.rmtree(target)

    def _script(self, noted: str, name: str, target: Path, *told: str) -> None:
        ended = children.python(f"benchmarks.peers.{SCRIPTS[name]}", self.files, target, *told)
        self.notes.timed(f"{noted} {self.count}", self.count, ended, ended.report["seconds"])

    def _compare(self, name: str, other: Path) -> None:
        found = children.python("benchmarks.measure.same_rows", self.data, other)
        self.notes.note(f"rows {name} {self.count}", found.report)

    def _proofs(self) -> None:
        """`recompute` and `verify` of what the last run left."""
        for command in ("recompute", "verify"):
            ended = children.headrace(command, APP, "--data", self.data)
            seconds = ended.wall_seconds
            self.notes.timed(f"{command} {self.count}", self.count, ended, seconds)
