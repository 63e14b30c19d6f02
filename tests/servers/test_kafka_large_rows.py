"""Rows that together are more than the client queues: they are sent bit by bit, and all land."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator

import pyarrow as pa
import pytest

from headrace.storage.kafka.system import KafkaSystem
from headrace.values.errors import UsageError
from tests.servers.kafka import Kafka
from tests.servers.kafka_process import JOB, PARTITIONS, mark, target
from tests.servers.kafka_records import committed, pairs
from tests.servers.names import Topics

QUEUE_KBYTES = 8192


@pytest.fixture
def system(kafka: Kafka) -> Iterator[KafkaSystem]:
    """Its client refuses what is more than 8 MB, as it does with 1 GiB elsewhere."""
    system = KafkaSystem(
        f"kafka://{kafka.bootstrap_servers}",
        {"queue.buffering.max.kbytes": str(QUEUE_KBYTES)},
        answer_seconds=10,
    )
    yield system
    system.close()


def large(count: int, least: int, most: int) -> pa.Table:
    """Rows of so many bytes that do not compress, each with a key of its own."""
    source = random.Random(count)
    values = [source.randbytes(source.randint(least, most)) for _ in range(count)]
    return pa.table({"key": [b"k%d" % n for n in range(count)], "value": values})


def listed(rows: pa.Table) -> list[tuple[bytes, bytes]]:
    return sorted(zip(rows["key"].to_pylist(), rows["value"].to_pylist(), strict=True), key=repr)


@pytest.mark.parametrize(("count", "least", "most"), [(300, 90_000, 110_000), (12_000, 1, 5_000)])
def test_a_delivery_larger_than_the_queue_lands(
    kafka: Kafka, topics: Topics, system: KafkaSystem, count: int, least: int, most: int
) -> None:
    name, rows = topics.create("large", PARTITIONS), large(count, least, most)
    assert rows.nbytes > 3 * QUEUE_KBYTES << 10
    writer = system.destination(target(name))
    writer.open(JOB, 1)
    assert writer.deliver(rows, mark(1)) == count
    assert writer.deliver(rows.slice(0, 1), mark(2)) == 1
    writer.close()
    assert pairs(kafka, name) == sorted(listed(rows) + listed(rows.slice(0, 1)), key=repr)


def test_what_is_appended_with_headers_is_sent_bit_by_bit_too(
    kafka: Kafka, topics: Topics, system: KafkaSystem
) -> None:
    name, rows = topics.create("headers", PARTITIONS), large(200, 90_000, 110_000)
    kind = pa.list_(pa.struct([("key", pa.string()), ("value", pa.binary())]))
    headers = pa.array([[{"key": "h", "value": b"x" * 20_000}]] * 200, kind)
    topic = system.topic(name, PARTITIONS)
    topic.append_numbered(
        rows["value"], rows["key"], producer="p", first_sequence=0, extras={"headers": headers}
    )
    assert pairs(kafka, name) == listed(rows)
    assert Counter(partition for partition, *_ in committed(kafka, name)).keys() == {0, 1}


def test_refused_rows_are_more_than_the_queue_takes(topics: Topics, system: KafkaSystem) -> None:
    name, rows = topics.create("refused", PARTITIONS, {"max.message.bytes": "5000"}), 4_000
    value = pa.array([b"x" * 6_000] * rows)
    writer = system.destination(target(name))
    writer.open(JOB, 1)
    keys = pa.array([b"%d" % n for n in range(rows)])
    assert writer.deliver(pa.table({"key": keys, "value": value}), mark(1)) == 0
    assert len(writer.refusals(-1)) == rows
    writer.close()


def test_a_row_that_the_queue_cannot_take_alone_is_the_users_matter(
    kafka: Kafka, topics: Topics
) -> None:
    name = topics.create("alone", 1, {"max.message.bytes": "3000000"})
    properties = {"queue.buffering.max.kbytes": "1024"}
    system = KafkaSystem(f"kafka://{kafka.bootstrap_servers}", properties, answer_seconds=10)
    topic = system.topic(name, 1)
    for extras in ({}, {"timestamp": pa.array([0], pa.timestamp("us"))}):
        with pytest.raises(UsageError, match="Queue full.*\n.*properties kafka"):
            topic.append_numbered(
                pa.array([b"x" * 2_000_000]), producer="p", first_sequence=0, extras=extras
            )
    system.close()
    assert committed(kafka, name) == []
