"""Topics as they are at one moment, for readers."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import pyarrow as pa

from headrace.storage.contract import RECORDS, Kept, Target
from headrace.storage.kafka.cluster import Cluster
from headrace.storage.kafka.compacted import Compacted
from headrace.storage.kafka.marks import jobs_into
from headrace.storage.kafka.topic import KafkaTopic
from headrace.storage.whole import all_records
from headrace.values.errors import TopicRefused, UsageError

_PIECE_RECORDS = 100_000


class KafkaSnapshot:
    """What the topics of `targets` hold when it is made; used by one thread."""

    def __init__(self, cluster: Cluster, marks: Compacted, topics: Sequence[KafkaTopic]) -> None:
        self._cluster = cluster
        self._marks = marks
        self._topics = {topic.name: topic for topic in topics}
        self._ends = {topic.name: topic.settled_offsets() for topic in topics}

    def rows(self, target: Target) -> pa.RecordBatchReader:
        """The records of the topic, as RECORDS, in pieces, but for what retention takes meanwhile.

        Errors as KafkaTopic.
        """
        topic = self._topic(target)
        tables = all_records(topic, self._ends[target.name], records_max=_PIECE_RECORDS)
        batches = (batch for table in tables for batch in table.to_batches())
        return pa.RecordBatchReader.from_batches(RECORDS, batches)

    def ends(self, target: Target) -> list[int]:
        """Where the topic ended at the moment, by partition."""
        return list(self._ends[target.name])

    def kept(self, target: Target) -> Kept:
        """How far back the topic reaches now; the others are jobs, and who ingested into it."""
        topic = self._topic(target)
        policy, others = "", []
        # Whoever may read a topic need not be allowed to see its settings, or our notes.
        with suppress(TopicRefused):
            policy = self._cluster.settings(topic.name).get("cleanup.policy", "")
        with suppress(TopicRefused):
            jobs = jobs_into(self._marks.entries(), topic.name, topic.identity)
            others += [f"job {job}" for job in jobs if job != target.job]
        with suppress(TopicRefused):
            others += sorted(topic.producers())
        return Kept(tuple(topic.begin_offsets()), "compact" in policy, tuple(others))

    def close(self) -> None:
        """Ends the connections."""
        for topic in self._topics.values():
            topic.close()

    def _topic(self, target: Target) -> KafkaTopic:
        topic = self._topics.get(target.name)
        if topic is None:
            raise UsageError(f'The snapshot was not made of topic "{target.name}"')
        return topic
