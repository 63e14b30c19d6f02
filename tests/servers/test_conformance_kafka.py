"""Topics in Kafka keep the contract that every connector keeps."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pyarrow as pa
import pytest

from headrace.storage.contract import Target
from headrace.storage.kafka.system import KafkaSystem
from headrace.storage.kafka.topic import KafkaTopic
from headrace.storage.kafka.writer import KafkaWriter
from headrace.testing.asked import JOB
from headrace.testing.conformance import DestinationConformance
from headrace.testing.log_conformance import LogConformance
from headrace.testing.topic_conformance import PARTITIONS
from headrace.testing.topic_system_conformance import TopicSystemConformance
from tests.servers.kafka import Kafka
from tests.servers.kafka_records import pairs, produce
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
        self.alone = any(word in request.node.name for word in ("was_away", "findings"))
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


class TestKafkaTopic(LogConformance):
    points = (
        "kafka.transaction.begun",
        "kafka.records.produced",
        "kafka.noted",
        "kafka.records.committed",
    )

    @pytest.fixture(autouse=True)
    def place(self, kafka: Kafka, topics: Topics) -> Iterator[None]:
        self.kafka, self.topic = kafka, topics.create("in", PARTITIONS)
        self.made: list[KafkaSystem] = []
        yield
        for system in self.made:
            system.close()

    def make(self) -> KafkaTopic:
        system = KafkaSystem(f"kafka://{self.kafka.bootstrap_servers}", answer_seconds=5)
        self.made.append(system)
        return system.topic(self.topic, PARTITIONS)

    def append(
        self,
        partition: int,
        values: Sequence[bytes | None],
        keys: Sequence[bytes | None] | None = None,
    ) -> None:
        # Kafka tells times in milliseconds.
        time.sleep(0.002)
        rows = zip(keys or [None] * len(values), values, strict=True)
        produce(self.kafka, self.topic, rows, partition=partition)

    def append_stamped(self, partition: int, value: bytes, stamp_us: int) -> bool:
        stamp_ms = stamp_us // 1000
        produce(self.kafka, self.topic, [(None, value)], partition=partition, timestamp=stamp_ms)
        return True

    def forget_oldest(self) -> bool:
        from confluent_kafka import TopicPartition

        admin, gone = self.kafka.admin(), TopicPartition(self.topic, 0, 5)
        admin.delete_records([gone])[gone].result(20)
        return True

    def appender(self, first: int, count: int) -> list[str]:
        place = f"{self.kafka.bootstrap_servers}/{self.topic}"
        return conforming.command("kafka-log", place, first, count)

    def add_partitions(self, partitions: int) -> bool:
        self.kafka.add_partitions(self.topic, partitions)
        return True

    def make_again(self) -> bool:
        self.kafka.delete_topics([self.topic])
        self.kafka.create_topic(self.topic, PARTITIONS)
        return True


class TestKafkaSystem(TopicSystemConformance):
    @pytest.fixture(autouse=True)
    def place(self, request: pytest.FixtureRequest) -> Iterator[None]:
        self.alone = "nothing_answers" in request.node.name
        self.kafka: Kafka = request.getfixturevalue("own_kafka" if self.alone else "kafka")
        self.topics, self.made = Topics(self.kafka), list[KafkaSystem]()
        yield
        for system in self.made:
            system.close()
        if not self.alone:
            self.topics.remove()

    def make(self) -> KafkaSystem:
        seconds = 2 if self.alone else 10
        address = f"kafka://{self.kafka.bootstrap_servers}"
        self.made.append(KafkaSystem(address, answer_seconds=seconds))
        return self.made[-1]

    def name(self, base: str) -> str:
        return self.topics.name(base)

    def outage(self) -> AbstractContextManager[None]:
        return paused(self.kafka)


@contextmanager
def paused(kafka: Kafka) -> Iterator[None]:
    kafka.pause()
    try:
        yield
    finally:
        kafka.resume()
