"""Kafka as a system that holds topics."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from weakref import WeakSet

from headrace.storage.contract import Finding, Target
from headrace.storage.kafka import appender, marks
from headrace.storage.kafka.address import Address
from headrace.storage.kafka.appender import Appender
from headrace.storage.kafka.cluster import About, Cluster
from headrace.storage.kafka.compacted import Compacted
from headrace.storage.kafka.findings import findings_of
from headrace.storage.kafka.problems import Use
from headrace.storage.kafka.snapshot import KafkaSnapshot
from headrace.storage.kafka.topic import KafkaTopic
from headrace.storage.kafka.writer import KafkaWriter
from headrace.storage.partitions import other_partitions

_ANSWER_SECONDS = 10.0
_VISIBLE_SECONDS_MAX = 10.0


def _now_us() -> int:
    return time.time_ns() // 1000


class KafkaSystem:
    """The cluster at `url` (`kafka://[user:password@]host[:port],…`); a contract.TopicSystem.

    `properties` are librdkafka's, as the profile's `kafka.…` give them. After `answer_seconds`
    without an answer, calls raise Unreachable. Safe to use from any thread.
    """

    def __init__(
        self,
        url: str,
        properties: Mapping[str, str] | None = None,
        *,
        answer_seconds: float = _ANSWER_SECONDS,
        clock: Callable[[], int] = _now_us,
    ) -> None:
        address = Address.parse(url, properties or {})
        self.address = address.shown
        self._cluster = Cluster(address, answer_seconds)
        self._clock = clock
        self._marks = Compacted(self._cluster, marks.TOPIC)
        self._producers = Compacted(self._cluster, appender.TOPIC)
        # What nobody uses any more need not be closed either.
        self._topics: WeakSet[KafkaTopic] = WeakSet()
        self._lock = threading.Lock()

    def topic(self, name: str, partitions: int) -> KafkaTopic:
        """The topic `name`; TopicRefused when it is missing or has fewer partitions."""
        about = self._cluster.about(name)
        if about.partitions < partitions:
            raise other_partitions(name, about.partitions, partitions)
        topic = self._made(about)
        with self._lock:
            self._topics.add(topic)
        return topic

    def create_topic(self, name: str, partitions: int) -> bool:
        """Makes the topic unless it is there; whether it was made."""
        made = self._cluster.create(name, partitions, {})
        if made:
            self._cluster.await_topic(name, _VISIBLE_SECONDS_MAX)
        return made

    def destination(self, target: Target) -> KafkaWriter:
        """The destination for an output of the role topic, not yet open."""
        return KafkaWriter(self._cluster, self._marks, target)

    def snapshot(self, targets: Sequence[Target]) -> KafkaSnapshot:
        """The topics of `targets` up to where they end now."""
        topics = [self._made(self._cluster.about(t.name), "look") for t in targets]
        return KafkaSnapshot(self._cluster, self._marks, topics)

    def findings(self, targets: Sequence[Target], topics: Mapping[str, int]) -> list[Finding]:
        """What `headrace doctor` says; never raises."""
        return findings_of(self._cluster, targets, topics)

    def close(self) -> None:
        """Closes its connections, those of its topics too."""
        with self._lock:
            topics = list(self._topics)
            self._topics.clear()
        for topic in topics:
            topic.close()
        self._marks.close()
        self._producers.close()
        self._cluster.close()

    def _made(self, about: About, use: Use = "source") -> KafkaTopic:
        appending = Appender(self._cluster, about, self._producers, self._clock)
        return KafkaTopic(self._cluster, about, appending, use)
