"""Headrace and its peers over the same events, one after another: two pipelines, rows compared."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path

from benchmarks import children, inputs
from benchmarks.children import Ended, MeasurementFailed
from benchmarks.environments import jars_of, python_of
from benchmarks.peers.known import FILES, KAFKA, ONE_FILE, PEERS, Peer
from benchmarks.servers import environment, kafka_started
from benchmarks.sizes import ROOT, TOPIC, Sizes
from tests.servers.kafka import Kafka
from tests.servers.missing import Missing
from tests.servers.process import ServerFailed

PIPELINES = ("five", "count")
HERE = ROOT / "benchmarks" / "peers"
Note = Callable[[str, dict[str, object]], None]


def events_of(peer: Peer, pipeline: str, sizes: Sizes) -> int:
    """How many events a peer gets."""
    size = "slow" if pipeline in peer.slow else "peer"
    return int(getattr(sizes, f"{size}_{pipeline}"))


class PeerRuns:
    """Runs all; `note` takes a run as `peer NAME PIPELINE` or `ours PIPELINE EVENTS`."""

    def __init__(self, sizes: Sizes, note: Note) -> None:
        self.sizes, self.note = sizes, note
        self.directory = sizes.directory / "peers"
        if unknown := set(sizes.peers) - set(PEERS):
            sys.exit(f"no such peers: {', '.join(sorted(unknown))}; there are {', '.join(PEERS)}")
        self.chosen = {n: PEERS[n] for n in sizes.peers or PEERS}
        self.kafka: Kafka | None = None
        self.no_kafka = ""

    def all(self) -> None:
        wanted: dict[int, list[tuple[str, str]]] = {}
        for name, peer in self.chosen.items():
            for pipeline in PIPELINES:
                count = events_of(peer, pipeline, self.sizes)
                wanted.setdefault(count, []).append((name, pipeline))
        with ExitStack() as stack:
            if any(peer.source == KAFKA for peer in self.chosen.values()):
                try:
                    self.kafka = stack.enter_context(kafka_started(self.sizes.directory / "kafka"))
                except (Missing, ServerFailed) as error:
                    self.no_kafka = f"Kafka cannot be started: {error}"
            for count, runs in sorted(wanted.items()):
                self._of_size(count, runs)

    def _of_size(self, count: int, runs: list[tuple[str, str]]) -> None:
        with self._inputs(count, {self.chosen[name].source for name, _ in runs}) as data:
            # The five outputs come last: the peers' rows are compared with theirs.
            for pipeline in ("count", "five"):
                for _ in range(self.sizes.repeats):
                    inputs.forget_results(data)
                    module = f"benchmarks.activity_{pipeline}"
                    ended = children.python("benchmarks.measure.throughput", data, module)
                    seconds = [ended.report["seconds"]]
                    self.note(f"ours {pipeline} {count}", _run(count, ended, seconds))
            if any(pipeline == "count" for _, pipeline in runs):
                self._fastest(count, data)
            for name, pipeline in runs:
                self._peer(name, pipeline, count, data)

    @contextmanager
    def _inputs(self, count: int, sources: set[str]) -> Iterator[Path]:
        """The log, beside it what peers read: files, one file, a topic."""
        shutil.rmtree(self.directory, ignore_errors=True)
        self.directory.mkdir(parents=True)
        data = self.directory / "data"
        inputs.simulate(data, count)
        files = self.directory / FILES
        children.python("benchmarks.measure.arrivals", data, files)
        if ONE_FILE in sources:
            with (self.directory / "events.ndjson").open("wb") as to:
                for path in sorted(files.iterdir()):
                    with path.open("rb") as part:
                        shutil.copyfileobj(part, to)
        if self.kafka and KAFKA in sources:
            with environment({"HEADRACE_TOPICS": f"kafka://{self.kafka.bootstrap_servers}"}):
                inputs.simulate(self.directory / "unused", count, "--create-topics")
        yield data
        shutil.rmtree(self.directory)
        if self.kafka:
            self.kafka.delete_topics(self.kafka.topics())

    def _fastest(self, count: int, data: Path) -> None:
        """The count alone by the fastest DuckDB script: the yardstick."""
        for _ in range(self.sizes.repeats):
            target = self.directory / "fastest"
            ended = children.python(
                "benchmarks.peers.duckdb_batch_fast", self.directory / FILES, target, "count"
            )
            children.python("benchmarks.measure.same_rows", data, target / "results.duckdb")
            shutil.rmtree(target)
            self.note(f"fastest count {count}", _run(count, ended, [ended.report["seconds"]]))

    def _peer(self, name: str, pipeline: str, count: int, data: Path) -> None:
        peer, target = self.chosen[name], self.directory / f"{name}-{pipeline}"
        try:
            ended = children.tree(
                self._command(name, pipeline, count, target),
                _environment(),
                self.sizes.peer_seconds_max,
            )
            last = target / "warm" if peer.warm else target
            rows = children.python("benchmarks.measure.peer_rows", data, name, pipeline, last)
        except (Missing, MeasurementFailed) as error:
            print(f"peer {name} {pipeline}: {error}", file=sys.stderr)
            self.note(f"peer {name} {pipeline}", {"left_out": _told(error)})
            return
        finally:
            shutil.rmtree(target, ignore_errors=True)
        seconds = ended.report["seconds"]
        run = _run(count, ended, seconds, quiet=ended.report.get("quiet", 0.0))
        self.note(f"peer {name} {pipeline}", run | {"rows": rows.report})

    def _command(self, name: str, pipeline: str, count: int, target: Path) -> list[str]:
        peer = self.chosen[name]
        python = python_of(HERE / f"{name}.txt")
        extra = [str(jars_of(HERE / peer.pom))] if peer.pom else []
        source = str(self.directory / FILES)
        if peer.source == ONE_FILE:
            source = str(self.directory / "events.ndjson")
        if peer.source == KAFKA:
            if self.kafka is None:
                raise Missing(self.no_kafka)
            source = f"{self.kafka.bootstrap_servers}/{TOPIC}"
        script = str(HERE / peer.script)
        return [str(python), script, pipeline, source, str(target), str(count), *extra]


def _told(error: Exception) -> str:
    """The last line that is not a mark below another, shortened."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip(" ^")]
    return lines[-1][:200]


def _environment() -> dict[str, str]:
    """Nothing of Headrace's own; what the peers would only warn of."""
    ours = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "SPARK_HOME")}
    return ours | {"SPARK_LOCAL_IP": "127.0.0.1", "PYTHONWARNINGS": "ignore"}


def _run(count: int, ended: Ended, seconds: list[float], quiet: float = 0.0) -> dict[str, object]:
    """Cold is from the start of the process; the last of several runs in it is warm."""
    cold = ended.wall_seconds - sum(seconds[1:]) - quiet
    return asdict(ended) | {
        "events": count,
        "cold_per_second": count / cold,
        "events_per_second": count / seconds[-1],
        "cpu_us_per_event": ended.cpu_seconds / count / len(seconds) * 1e6,
    }
