"""What is measured with real servers on the same two cores: Kafka, PostgreSQL."""

from __future__ import annotations

import shutil
from dataclasses import asdict

from benchmarks import children, inputs
from benchmarks.fed import checked
from benchmarks.live import latency
from benchmarks.runs import Notes
from benchmarks.servers import Servers, started
from benchmarks.sizes import TOPIC, Sizes

CLIENT, KAFKA, BOTH = "client alone", "kafka", "kafka and postgresql"
UPSERTS, LIVE = "upserts", "live postgresql"


class Connected:
    """Runs with Kafka and PostgreSQL. Raises Missing."""

    def __init__(self, sizes: Sizes, notes: Notes) -> None:
        self.sizes, self.notes = sizes, notes
        self.data = sizes.directory / "connected"

    def all(self) -> None:
        with started(self.sizes.directory / "servers") as servers:
            with self.notes.trying("live, through Kafka into PostgreSQL"):
                self._live(servers)
            with self.notes.trying("from Kafka"):
                servers.kafka.delete_topics(sorted({TOPIC} & set(servers.kafka.topics())))
                shutil.rmtree(self.data, ignore_errors=True)
                self._throughput(servers)
            with self.notes.trying(UPSERTS):
                self._upserts(servers)

    def _upserts(self, servers: Servers) -> None:
        servers.forget_results()
        ended = children.python(
            "benchmarks.measure.upserts", servers.tables, self.sizes.upserted_rows
        )
        self.notes.note(UPSERTS, asdict(ended) | ended.report)

    def _live(self, servers: Servers) -> None:
        """From an append to Kafka to the row in PostgreSQL."""
        servers.forget_results()
        rate, seconds = self.sizes.connected_rate, self.sizes.live_seconds
        with servers.playing("topics", "tables"):
            ended = latency(self.data, rate, seconds)
        self.notes.note(LIVE, asdict(ended) | ended.report)
        shutil.rmtree(self.data)

    def _throughput(self, servers: Servers) -> None:
        count = self.sizes.connected_events
        with servers.playing("topics"):
            self.fed = inputs.simulate(self.data, count, "--create-topics")
        for number in range(self.sizes.connected_repeats):
            ended = children.python(
                "benchmarks.peers.kafka_client", servers.kafka.bootstrap_servers, TOPIC, count
            )
            self.notes.timed(CLIENT, count, ended, ended.report["seconds"])
            self._run(servers, KAFKA, "topics")
            if number == 0:  # far from its goal, and long
                self._run(servers, BOTH, "topics", "tables")

    def _run(self, servers: Servers, name: str, *roles: str) -> None:
        shutil.rmtree(self.data, ignore_errors=True)
        servers.forget_results()
        servers.kafka.create_topic("enriched_activity", 3)
        with servers.playing(*roles):
            ended = checked(children.python("benchmarks.measure.throughput", self.data), self.fed)
        self.notes.timed(name, self.sizes.connected_events, ended, ended.report["seconds"])
