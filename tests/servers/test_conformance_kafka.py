"""Topics in Kafka keep the contract that every connector keeps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pyarrow as pa
import pytest

from headrace.storage.contract import Target
from headrace.storage.kafka.system import KafkaSystem
from headrace.storage.kafka.writer import KafkaWriter
from headrace.testing.conformance import JOB, DestinationConformance
from tests.servers.kafka import Kafka
from tests.servers.kafka_records import pairs
from tests.servers.names import Topics
from tests.storage import conforming


class TestKafkaWriter(DestinationConformance):
    shared = True
    points = (
        "kafka.produced",
        "kafka.committed",
    )

    @pytest.fixture(autouse=True)
    def place(self, request: pytest.FixtureRequest) -> Iterator[None]:
        # Whoever pauses a server has one of its own: the shared one serves other tests.
        self.alone = "was_away" in request.node.name
        self.kafka: Kafka = request.getfixturevalue("own_kafka" if self.alone else "kafka")
        topics = Topics(self.kafka)
        settings = {"max.message.bytes": "2000"}
        self.topic = topics.create("out", conforming.PARTITIONS, settings)
        self.made = KafkaSystem(f"kafka://{self.kafka.bootstrap_servers}", answer_seconds=2)
        yield
        self.made.close()
        if not self.alone:
            topics.remove()

    def system(self) -> KafkaSystem:
        return self.made

    def target(self, job: str = JOB) -> Target:
        return conforming.kafka_target(self.topic, job)

    def make(self, job: str = JOB) -> KafkaWriter:
        return self.made.destination(self.target(job))

    def rows(self, numbers: Sequence[int]) -> pa.Table:
        return conforming.records(numbers)

    def held(self) -> list[dict[str, Any]]:
        return [{"key": key, "value": value} for key, value in pairs(self.kafka, self.topic)]

    def refused_row(self) -> pa.Table:
        return pa.table({"key": [b"large"], "value": [b"x" * 5000]})

    def outage(self) -> AbstractContextManager[None] | None:
        return paused(self.kafka) if self.alone else None

    def child(self, incarnation: int, epoch: int) -> list[str]:
        place = f"{self.kafka.bootstrap_servers}/{self.topic}"
        return conforming.command("kafka", place, incarnation, epoch)


@contextmanager
def paused(kafka: Kafka) -> Iterator[None]:
    kafka.pause()
    try:
        yield
    finally:
        kafka.resume()
