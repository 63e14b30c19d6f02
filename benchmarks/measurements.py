"""What is measured, one after another; each yields the runs that the report is made of."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import children, inputs
from benchmarks.children import Ended
from benchmarks.connected import Connected
from benchmarks.curves.points import points
from benchmarks.peer_runs import PeerRuns
from benchmarks.sizes import APP, TOPIC, Sizes
from tests.servers.missing import Missing

NOT_CONNECTED = "not connected"
_IMPORTS, _FIRST_RESULT_EVENTS = 7, 1_000_000

Run = dict[str, Any]


def live_runs(sizes: Sizes) -> list[tuple[str, int, int]]:
    """Latency is measured at (name of the run, events a second, events in the state before)."""
    found = [(sizes.live_rate, 0), (sizes.live_rate, sizes.live_preload), (sizes.fast_rate, 0)]
    return [(f"live {rate} {preload}", rate, preload) for rate, preload in found]


class Measurements:
    """All runs, by measurement, given to `keep` after each.

    `directory` is emptied before and after.
    """

    def __init__(self, sizes: Sizes, keep: Callable[[dict[str, list[Run]]], None]) -> None:
        self.sizes, self.directory, self.keep = sizes, sizes.directory, keep
        self.runs: dict[str, list[Run]] = {}

    def all(self) -> dict[str, list[Run]]:
        peers = PeerRuns(self.sizes, self._note)
        shutil.rmtree(self.directory, ignore_errors=True)
        self.directory.mkdir(parents=True)
        self.start_up()
        for count in self.sizes.events:
            self.throughput(count)
        self.live()
        self.connected()
        peers.all()
        self.curves()
        self.long_form()
        shutil.rmtree(self.directory)
        return self.runs

    def start_up(self) -> None:
        """`import headrace`, and `headrace run` to its first visible result."""
        for name, statement in (("python", "pass"), ("import", "import headrace")):
            for _ in range(_IMPORTS):
                begun = time.perf_counter()
                subprocess.run([sys.executable, "-c", statement], check=True)
                self._note(name, {"seconds": time.perf_counter() - begun})
        data = self._simulated(_FIRST_RESULT_EVENTS)
        for _ in range(self.sizes.repeats):
            inputs.forget_results(data)
            ended = children.python("benchmarks.measure.first_result", data)
            self._note("first result", {"seconds": ended.report["seconds"]})
        shutil.rmtree(data)

    def throughput(self, count: int) -> None:
        """The five outputs from the log; with files also `ingest` and the peer."""
        data = self._simulated(count)
        repeats = self.sizes.repeats if count <= self.sizes.repeated_max else 1
        files = self.directory / "files"
        if count <= self.sizes.files_max:
            inputs.export(data, files)
        for number in range(repeats):
            inputs.forget_results(data)
            ended = children.python("benchmarks.measure.throughput", data)
            self._timed(f"five outputs {count}", count, ended, ended.report["seconds"])
            if files.exists():
                self._from_files(count, files, data, compare=number == 0)
        self._proofs(count, data)
        shutil.rmtree(data)
        shutil.rmtree(files, ignore_errors=True)

    def _proofs(self, count: int, data: Path) -> None:
        """`recompute` and `verify` of what the last run left."""
        for command in ("recompute", "verify"):
            ended = children.headrace(command, APP, "--data", data)
            self._note(f"{command} {count}", asdict(ended))

    def _both(self, count: int) -> None:
        """`ingest` and the five outputs one after the other, of their last runs."""
        parts = [self.runs[f"{name} {count}"][-1] for name in ("ingest", "five outputs")]
        run = {k: max(p[k] for p in parts) for k in ("peak_mib", "anonymous_mib", "other_cores")}
        run |= {k: sum(p[k] for p in parts) for k in ("seconds", "cpu_us_per_event")}
        self._note(f"both {count}", run | {"events_per_second": count / run["seconds"]})

    def _from_files(self, count: int, files: Path, data: Path, *, compare: bool) -> None:
        target = self.directory / "ingested"
        inputs = sorted(files.iterdir())
        ended = children.headrace("ingest", APP, TOPIC, *inputs, "--data", target)
        assert ended.report["added"] == count
        self._timed(f"ingest {count}", count, ended, ended.report["seconds"])
        self._both(count)
        shutil.rmtree(target)
        target = self.directory / "peer"
        for name, script in (("fastest", "duckdb_batch_fast"), ("peer", "duckdb_batch")):
            ended = children.python(f"benchmarks.peers.{script}", files, target)
            self._timed(f"{name} {count}", count, ended, ended.report["seconds"])
            if compare:
                rows = children.python(
                    "benchmarks.measure.same_rows", data, target / "results.duckdb"
                ).report
                self._note(f"rows {name} {count}", rows)
            shutil.rmtree(target)

    def live(self) -> None:
        """Latency at a steady rate: on an empty state, and on one that has seen events."""
        for name, rate, preload in live_runs(self.sizes):
            data = self._simulated(preload) if preload else self.directory / "live"
            ended = children.python(
                "benchmarks.measure.latency", data, rate, self.sizes.live_seconds
            )
            self._note(name, asdict(ended) | ended.report)
            shutil.rmtree(data)

    def connected(self) -> None:
        """With Kafka and PostgreSQL, where they can be started."""
        try:
            Connected(self.sizes, self._timed, self._note).all()
        except Missing as missing:
            self._note(NOT_CONNECTED, {"why": str(missing)})

    def curves(self) -> None:
        """What an event costs as one thing grows."""
        for point in points(self.sizes.curve_events, self.sizes.curve_keys):
            data, told = self.directory / "curve", json.dumps(point.arguments())
            children.python("benchmarks.curves.log", data, told)
            ended = children.python("benchmarks.curves.run", data, told)
            self._timed(point.name, point.events, ended, ended.report["seconds"])
            shutil.rmtree(data)

    def long_form(self) -> None:
        """Very many events through one job, where that is asked for."""
        if count := self.sizes.long_events:
            data = self.directory / "long"
            ended = children.python("benchmarks.measure.long_run", data, count)
            self._timed("long", count, ended, ended.report["seconds"])
            shutil.rmtree(data)

    def _simulated(self, count: int) -> Path:
        """A data directory whose topic holds `count` events."""
        data = self.directory / f"events-{count}"
        inputs.simulate(data, count)
        return data

    def _timed(self, name: str, count: int, ended: Ended, seconds: float) -> None:
        run = asdict(ended) | {
            "seconds": seconds,
            "events_per_second": count / seconds,
            "cpu_us_per_event": ended.cpu_seconds / count * 1e6,
        }
        self._note(name, run)

    def _note(self, name: str, run: Run) -> None:
        self.runs.setdefault(name, []).append(run)
        self.keep(self.runs)
        shown = {k: round(v, 3) for k, v in run.items() if isinstance(v, (int, float))}
        print(f"{name}: {shown or run}", file=sys.stderr, flush=True)
