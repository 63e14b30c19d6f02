"""Topics in Kafka keep the contract that every connector keeps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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
    def place(self, kafka: Kafka, topics: Topics) -> Iterator[None]:
        settings = {"max.message.bytes": "2000"}
        self.kafka = kafka
        self.topic = topics.create("out", conforming.PARTITIONS, settings)
        self.made = KafkaSystem(f"kafka://{kafka.bootstrap_servers}", answer_seconds=2)
        yield
        self.made.close()

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

    @contextmanager
    def outage(self) -> Iterator[None]:
        self.kafka.pause()
        try:
            yield
        finally:
            self.kafka.resume()

    def child(self, incarnation: int, epoch: int) -> list[str]:
        place = f"{self.kafka.bootstrap_servers}/{self.topic}"
        return conforming.command("kafka", place, incarnation, epoch)
