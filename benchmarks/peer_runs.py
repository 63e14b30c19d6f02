"""Headrace and its peers over the same events, one after another: two pipelines, rows compared."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path

from benchmarks import children, faithful, goals, inputs
from benchmarks.children import MeasurementFailed
from benchmarks.environments import jars_of, python_of
from benchmarks.fed import checked
from benchmarks.peers.known import KAFKA, ONE_FILE, PEERS, Peer
from benchmarks.runs import Notes, Run, last_words, rates
from benchmarks.servers import environment, kafka_started
from benchmarks.sizes import ROOT, TOPIC, Sizes
from tests.servers.kafka import Kafka
from tests.servers.missing import Missing
from tests.servers.process import ServerFailed

PIPELINES = ("five", "count")
# How often the best way of a peer is run that has a goal: the median counts.
_TIMES_WITH_GOAL = 3
HERE = ROOT / "benchmarks" / "peers"
# What Headrace is noted as where it reads the topic that a peer reads.
FROM_KAFKA = {"five": "five outputs from kafka", "count": "one count from kafka"}


def events_of(peer: Peer, pipeline: str, sizes: Sizes) -> int:
    """How many events a peer gets."""
    size = "slow" if pipeline in peer.slow else "peer"
    return int(getattr(sizes, f"{size}_{pipeline}"))


class PeerRuns:
    """Runs the peers; notes each as `peer NAME PIPELINE`, and Headrace beside those from Kafka."""

    def __init__(self, sizes: Sizes, notes: Notes) -> None:
        self.sizes, self.notes = sizes, notes
        self.directory = sizes.directory / "peers"
        if unknown := set(sizes.peers) - set(PEERS):
            sys.exit(f"no such peers: {', '.join(sorted(unknown))}; there are {', '.join(PEERS)}")
        self.chosen = {n: PEERS[n] for n in sizes.peers or PEERS}
        self.kafka: Kafka | None = None
        self.no_kafka = ""

    @property
    def counts(self) -> set[int]:
        """How many events the peers get."""
        return {events_of(p, of, self.sizes) for p in self.chosen.values() for of in PIPELINES}

    def pipelines(self, count: int) -> set[str]:
        """Those for which some peer gets so many events."""
        return {pipeline for _, pipeline in self._runs(count)}

    def _runs(self, count: int) -> list[tuple[str, str]]:
        """Peers and pipelines with so many events."""
        return [
            (name, pipeline)
            for pipeline in PIPELINES
            for name, peer in self.chosen.items()
            if events_of(peer, pipeline, self.sizes) == count
        ]

    def of_size(self, count: int, data: Path, files: Path) -> None:
        """All peers that get so many events, those of `files`, the log of `data`.

        Their rows are compared with the five outputs of `data`.
        """
        if not (runs := self._runs(count)):
            return
        reading = [run for run in runs if self.chosen[run[0]].source == KAFKA]
        with self._files(files, {self.chosen[name].source for name, _ in runs}):
            for name, pipeline in runs:
                if (name, pipeline) not in reading:
                    self._tried(name, pipeline, count, data)
            # It would take memory and time from those that have no use for it.
            with self._topic(count) if reading else nullcontext():
                for name, pipeline in reading:
                    self._tried(name, pipeline, count, data)
                    if self.kafka and (name, pipeline) in self._beside():
                        with self.notes.trying(FROM_KAFKA[pipeline]):
                            self._ours_from_kafka(pipeline, count)

    def _tried(self, name: str, pipeline: str, count: int, data: Path) -> None:
        with self.notes.trying(f"{name}, {pipeline}"):
            self._peer(name, pipeline, count, data)

    def _beside(self) -> set[tuple[str, str]]:
        """Peers that read Kafka, as fast as to get all events: Headrace runs from it too."""
        reading = {n: p for n, p in self.chosen.items() if p.source == KAFKA}
        return {(n, of) for n, p in reading.items() for of in PIPELINES if of not in p.slow}

    @contextmanager
    def _files(self, files: Path, sources: set[str]) -> Iterator[None]:
        """A place for what peers make, and beside the files one of all of them."""
        shutil.rmtree(self.directory, ignore_errors=True)
        self.directory.mkdir(parents=True)
        self.files = files
        if ONE_FILE in sources:
            with (self.directory / "events.ndjson").open("wb") as to:
                for path in sorted(files.iterdir()):
                    with path.open("rb") as part:
                        shutil.copyfileobj(part, to)
        try:
            yield
        finally:
            shutil.rmtree(self.directory)

    @contextmanager
    def _topic(self, count: int) -> Iterator[None]:
        """Kafka with the events in its topic, or `no_kafka` that says why there is none."""
        with ExitStack() as stack:
            try:
                kafka = stack.enter_context(kafka_started(self.sizes.directory / "kafka"))
                self.kafka = kafka
                unused = self.directory / "unused"
                with environment(self._topics()):
                    self.fed = inputs.simulate(unused, count, "--create-topics")
            except (Missing, ServerFailed, MeasurementFailed) as error:
                self.kafka, self.no_kafka = None, f"Kafka cannot be started: {last_words(error)}"
            try:
                yield
            finally:
                self.kafka = None

    def _topics(self) -> dict[str, str]:
        assert self.kafka is not None
        return {"HEADRACE_TOPICS": f"kafka://{self.kafka.bootstrap_servers}"}

    def _ours_from_kafka(self, pipeline: str, count: int) -> None:
        """Headrace from the same topic; what it writes goes to Kafka too."""
        assert self.kafka is not None
        module = {"five": "benchmarks.activity_five", "count": "benchmarks.activity_count"}
        data, made = self.directory / "ours", {"headrace-marks", "enriched_activity"}
        for _ in range(self.sizes.repeats):
            self.kafka.delete_topics(sorted(made & set(self.kafka.topics())))
            if pipeline == "five":
                self.kafka.create_topic("enriched_activity", 3)
            with environment(self._topics()):
                ended = children.python("benchmarks.measure.throughput", data, module[pipeline])
            checked(ended, self.fed)
            self.notes.timed(FROM_KAFKA[pipeline], count, ended, ended.report["seconds"])
            shutil.rmtree(data)

    def _peer(self, name: str, pipeline: str, count: int, data: Path) -> None:
        """Each of the peer's variants, of which the best counts; again where there is a goal."""
        found: dict[str, Run] = {}
        told: dict[str, str] = {}
        arguments = dict(self.chosen[name].variants or (("", ""),))
        for variant, argument in arguments.items():
            try:
                run = found[variant] = self._variant((name, pipeline), argument, count, data)
                told[variant] = f"{run['events_per_second']:,.0f}"
                if wrong := faithful.faults(name, [run]):
                    told[variant] += f" ({'; '.join(wrong)})"
            except (Missing, MeasurementFailed) as error:
                print(f"peer {name} {pipeline}: {error}", file=sys.stderr)
                told[variant] = last_words(error)
        noted = f"peer {name} {pipeline}"
        if not found:
            self.notes.note(noted, {"left_out": next(iter(told.values()))})
            return
        best = best_of(name, found)
        told_of = {"variant": best, "variants": told}
        self.notes.note(noted, found[best] | told_of)
        if name in goals.PEERS[pipeline]:
            for _ in range(_TIMES_WITH_GOAL - 1):
                try:
                    again = self._variant((name, pipeline), arguments[best], count, data)
                except MeasurementFailed as error:
                    print(f"{noted}, again: {error}", file=sys.stderr)
                    return
                self.notes.note(noted, again | told_of)

    def _variant(self, of: tuple[str, str], argument: str, count: int, data: Path) -> Run:
        name, pipeline = of
        peer, target = self.chosen[name], self.directory / f"{name}-{pipeline}"
        try:
            command = self._command(name, pipeline, count, target)
            ended = children.tree(
                [*command, *([argument] if argument else [])],
                _environment(),
                self.sizes.peer_seconds_max,
            )
            last = target / "warm" if peer.warm else target
            rows = children.python("benchmarks.measure.peer_rows", data, name, pipeline, last)
        finally:
            shutil.rmtree(target, ignore_errors=True)
        quiet = ended.report.get("quiet", 0.0)
        return rates(count, ended, ended.report["seconds"], quiet) | {"rows": rows.report}

    def _command(self, name: str, pipeline: str, count: int, target: Path) -> list[str]:
        peer = self.chosen[name]
        python = python_of(HERE / f"{name}.txt")
        extra = [str(jars_of(HERE / peer.pom))] if peer.pom else []
        source = str(self.files)
        if peer.source == ONE_FILE:
            source = str(self.directory / "events.ndjson")
        if peer.source == KAFKA:
            if self.kafka is None:
                raise Missing(self.no_kafka)
            source = f"{self.kafka.bootstrap_servers}/{TOPIC}"
        script = str(HERE / peer.script)
        return [str(python), script, pipeline, source, str(target), str(count), *extra]


def best_of(name: str, found: Mapping[str, Run]) -> str:
    """The fastest of the peer's variants whose rows are ours; where none has these, of all."""
    whole = [variant for variant, run in found.items() if not faithful.faults(name, [run])]
    return max(whole or found, key=lambda variant: float(found[variant]["events_per_second"]))


def _environment() -> dict[str, str]:
    """Nothing of Headrace's own; what the peers would only warn of; times as UTC, in files too."""
    ours = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "SPARK_HOME")}
    return ours | {"SPARK_LOCAL_IP": "127.0.0.1", "PYTHONWARNINGS": "ignore", "TZ": "UTC"}
