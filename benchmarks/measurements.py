"""What is measured, one after another; each yields the runs that the report is made of."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from benchmarks import children, inputs
from benchmarks.children import OURS_SECONDS_MAX
from benchmarks.connected import Connected
from benchmarks.curves.points import POINT_SECONDS, Point, points
from benchmarks.fed import NOTHING, Fed, checked
from benchmarks.live import latency, live_runs
from benchmarks.one_size import OneSize
from benchmarks.peer_runs import PeerRuns
from benchmarks.runs import Notes, Runs
from benchmarks.sizes import Sizes
from tests.servers.missing import Missing

NOT_CONNECTED = "not connected"
# Slower than that, the long form is given up.
_LONG_RATE_MIN = 50_000
_IMPORTS, _FIRST_RESULT_EVENTS = 7, 1_000_000


class Measurements:
    """All of them. `directory` is emptied before and after."""

    def __init__(self, sizes: Sizes, notes: Notes) -> None:
        self.sizes, self.notes, self.directory = sizes, notes, sizes.directory
        self.peers = PeerRuns(sizes, notes)

    def all(self) -> Runs:
        """What fails is noted, and what comes behind it is measured."""
        shutil.rmtree(self.directory, ignore_errors=True)
        self.directory.mkdir(parents=True)
        try:
            self.start_up()
            for count in sorted({*self.sizes.events, *self.peers.counts}):
                with self.notes.trying(f"{count:,} events"):
                    OneSize(count, self.sizes, self.notes, self.peers).all()
            self.live()
            self.connected()
            self.curves()
            self.long_form()
        finally:
            shutil.rmtree(self.directory)
        return self.notes.runs

    @contextmanager
    def _place(self, name: str) -> Iterator[Path]:
        """A data directory for one thing that is tried, which leaves nothing behind."""
        place = self.directory / name.replace(" ", "-")
        with self.notes.trying(name):
            try:
                yield place
            finally:
                shutil.rmtree(place, ignore_errors=True)

    def start_up(self) -> None:
        """`import headrace`, and `headrace run` to its first visible result."""
        for name, statement in (("python", "pass"), ("import", "import headrace")):
            for _ in range(_IMPORTS):
                begun = time.perf_counter()
                subprocess.run([sys.executable, "-c", statement], check=True)
                self.notes.note(name, {"seconds": time.perf_counter() - begun})
        with self._place("first result") as data:
            inputs.simulate(data, _FIRST_RESULT_EVENTS)
            for _ in range(self.sizes.repeats):
                inputs.forget_results(data)
                ended = children.python("benchmarks.measure.first_result", data)
                self.notes.note("first result", {"seconds": ended.report["seconds"]})

    def live(self) -> None:
        """Latency at a steady rate: on an empty state, and on one that has seen events."""
        for of in live_runs(self.sizes):
            with self._place(of.name) as data:
                before = inputs.simulate(data, of.preload) if of.preload else NOTHING
                ended = latency(data, of.rate, self.sizes.live_seconds, of.pause_ms, before)
                self.notes.note(of.name, asdict(ended) | ended.report)

    def connected(self) -> None:
        """With Kafka and PostgreSQL, where they can be started."""
        with self.notes.trying("Kafka and PostgreSQL"):
            try:
                Connected(self.sizes, self.notes).all()
            except Missing as missing:
                self.notes.note(NOT_CONNECTED, {"why": str(missing)})

    def curves(self) -> None:
        """What an event costs as one thing grows."""
        for point in points(self.sizes):
            with self._place(point.name) as data:
                self._point(point, data)

    def _point(self, point: Point, data: Path) -> None:
        """Its runs over one log: fewer than is told where they take long."""
        told = json.dumps(point.arguments())
        children.python("benchmarks.curves.log", data, told)
        fed = Fed(point.events, point.events * point.views)
        until = time.monotonic() + POINT_SECONDS
        for number in range(self.sizes.curve_repeats):
            if number and time.monotonic() > until:
                break
            inputs.forget_results(data)
            ended = checked(children.python("benchmarks.curves.run", data, told), fed)
            self.notes.timed(point.name, point.events, ended, ended.report["seconds"])

    def long_form(self) -> None:
        """Very many events through one job, where that is asked for."""
        if count := self.sizes.long_events:
            with self._place("long") as data:
                ended = children.python(
                    "benchmarks.measure.long_run",
                    data,
                    count,
                    seconds_max=max(OURS_SECONDS_MAX, count / _LONG_RATE_MIN),
                )
                checked(ended, Fed(count, ended.report["page_views"]))
                self.notes.timed("long", count, ended, ended.report["seconds"])
