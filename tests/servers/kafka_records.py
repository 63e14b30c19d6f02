"""Records as Kafka's plain client writes and reads them: the oracle of the connector's tests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from headrace.storage.contract import RECORDS, Topic
from tests.servers.kafka import Kafka

Record = tuple[int, int, bytes | None, bytes | None]


def produce(
    kafka: Kafka,
    topic: str,
    records: Iterable[tuple[bytes | None, bytes | None]],
    *,
    partition: int = 0,
    settings: Mapping[str, Any] | None = None,
    **options: Any,
) -> None:
    """Writes (key, value) pairs without a transaction."""
    from confluent_kafka import Producer

    producer = Producer(kafka.client_settings() | dict(settings or {}))
    for key, value in records:
        producer.produce(topic, value=value, key=key, partition=partition, **options)
    assert producer.flush(20) == 0


def transact(
    kafka: Kafka,
    topic: str,
    name: str,
    values: Sequence[bytes],
    *,
    commit: bool,
    partition: int = 0,
) -> None:
    """Writes values in one transaction, and commits or aborts it."""
    from confluent_kafka import Producer

    producer = Producer(kafka.client_settings() | {"transactional.id": name})
    producer.init_transactions(20)
    producer.begin_transaction()
    for value in values:
        producer.produce(topic, value, partition=partition)
    assert producer.flush(20) == 0
    if commit:
        producer.commit_transaction(20)
    else:
        producer.abort_transaction(20)


def committed(kafka: Kafka, topic: str) -> list[Record]:
    """All records of a topic that are committed, by partition and offset."""
    from confluent_kafka import Consumer, TopicPartition

    settings = {
        "group.id": "oracle",
        "isolation.level": "read_committed",
        "auto.offset.reset": "earliest",
        "enable.partition.eof": True,
        "enable.auto.commit": False,
    }
    consumer = Consumer(kafka.client_settings() | settings)
    count = len(consumer.list_topics(topic, timeout=20).topics[topic].partitions)
    consumer.assign([TopicPartition(topic, p, 0) for p in range(count)])
    found: list[Record] = []
    open_partitions = set(range(count))
    while open_partitions:
        message = consumer.poll(20)
        assert message is not None, "the topic was not read to its end"
        if message.error() is not None:
            open_partitions.discard(message.partition())
        else:
            record = (message.partition(), message.offset(), message.key(), message.value())
            found.append(record)
    consumer.close()
    return sorted(found, key=lambda r: r[:2])


def pairs(kafka: Kafka, topic: str) -> list[tuple[bytes | None, bytes | None]]:
    """Keys and values of what is committed, in no order of the log."""
    return sorted(((key, value) for *_, key, value in committed(kafka, topic)), key=repr)


def listed(table: pa.Table) -> list[Record]:
    """Records as tuples, in their order; checks the schema."""
    assert table.schema.equals(RECORDS)
    names = ("partition", "offset", "key", "value")
    return list(zip(*(table.column(name).to_pylist() for name in names), strict=True))


def read_all(
    topic: Topic, start: Sequence[int] | None = None, records_max: int = 1000
) -> list[Record]:
    """Everything from `start` to the end now, fetch by fetch."""
    at = topic.begin_offsets() if start is None else list(start)
    stop, found = topic.end_offsets(), []
    while at != stop:
        fetched = topic.fetch(at, stop, records_max=records_max)
        assert fetched.next_offsets != at, "it does not go on"
        found += listed(fetched.records)
        at = fetched.next_offsets
    return found
