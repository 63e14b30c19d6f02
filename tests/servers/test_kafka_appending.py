"""Appending to Kafka: the same input gives the same log, however it is cut, killed and repeated."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pytest

from headrace.storage.kafka.compacted import Compacted
from headrace.storage.kafka.system import KafkaSystem
from headrace.storage.topics.log import LocalTopic
from headrace.values.errors import Unreachable, UsageError
from tests.children import finished
from tests.servers.kafka import Kafka
from tests.servers.kafka_process import PARTITIONS, start
from tests.servers.kafka_records import committed, pairs
from tests.servers.names import Topics
from tests.storage.outbound.records import record, records


@pytest.fixture
def system(kafka: Kafka) -> Iterator[KafkaSystem]:
    system = KafkaSystem(f"kafka://{kafka.bootstrap_servers}", answer_seconds=10)
    yield system
    system.close()


def by_partition(found: list[tuple[int, int, bytes | None, bytes | None]]) -> list[object]:
    return [(partition, key, value) for partition, _, key, value in found]


def test_the_log_is_that_of_a_local_topic_however_it_is_cut(
    kafka: Kafka, topics: Topics, system: KafkaSystem, tmp_path: Path
) -> None:
    name, random_ = topics.create("cut", 3), random.Random(3)
    topic, local = system.topic(name, 3), LocalTopic.create(tmp_path, "t", 3)
    rows = records(0, 400)
    local.append_numbered(rows.column("value"), rows.column("key"), producer="p", first_sequence=0)
    at = 0
    while at < 400:
        first = max(0, at - random_.randrange(30))
        part = rows.slice(first, at - first + random_.randrange(1, 60))
        appended = topic.append_numbered(
            part.column("value"), part.column("key"), producer="p", first_sequence=first
        )
        assert appended.skipped == at - first
        assert appended.rows == len(part) - appended.skipped
        at = first + len(part)
    found = committed(kafka, name)
    wanted = local.read([0, 0, 0], records_max=1000).to_pylist()
    wanted = sorted((r["partition"], r["offset"], r["key"], r["value"]) for r in wanted)
    assert by_partition(found) == by_partition(wanted)


def test_what_is_returned_and_remembered(kafka: Kafka, topics: Topics, system: KafkaSystem) -> None:
    name = topics.create("noted", 2)
    topic = system.topic(name, 2)
    assert topic.producer("p") is None
    values = pa.array([b"a", b"b", b"c"])
    first = topic.append_numbered(values, producer="p", first_sequence=0, note={"x": 1})
    assert (first.base, first.counts, first.duplicate) == ((0, 0), (2, 1), False)
    again = topic.append_numbered(values, producer="p", first_sequence=0, note={"x": 2})
    assert (again.base, again.counts, again.skipped) == ((-1, -1), (0, 0), 3)
    assert again.duplicate
    assert topic.producer("p").note == {"x": 1}
    none = pa.array([], pa.binary())
    topic.append_numbered(none, producer="p", first_sequence=3, note={"done": True})
    state = topic.producer("p")
    assert (state.sequence, state.note) == (2, {"done": True})
    other = KafkaSystem(f"kafka://{kafka.bootstrap_servers}")
    assert other.topic(name, 2).producers() == {"p": state}
    kafka.delete_topics([name])
    kafka.create_topic(name, 2)
    assert other.topic(name, 2).producers() == {}, "another topic knows nothing of it"
    other.close()


def test_two_of_one_producer_at_once_add_each_row_once(
    kafka: Kafka, topics: Topics, system: KafkaSystem
) -> None:
    name = topics.create("both", 2)

    def run() -> None:
        topic = system.topic(name, 2)
        for first in range(0, 100, 20):
            part = records(first, 20)
            topic.append_numbered(
                part.column("value"), part.column("key"), producer="p", first_sequence=first
            )

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert pairs(kafka, name) == sorted((record(n) for n in range(100)), key=repr)


def silent_once(noted: Compacted, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets the next look at what was appended go without an answer."""
    entries = noted.entries

    def looked(*, settled: bool = False) -> dict[bytes, bytes]:
        monkeypatch.setattr(noted, "entries", entries)
        raise Unreachable("no answer")

    monkeypatch.setattr(noted, "entries", looked)


def test_a_look_without_an_answer_leaves_nothing_that_counts(
    kafka: Kafka, topics: Topics, system: KafkaSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = topics.create("looked", 2)
    other = KafkaSystem(f"kafka://{kafka.bootstrap_servers}")
    rows, more = records(0, 10), records(10, 5)
    other.topic(name, 2).append_numbered(rows["value"], rows["key"], producer="p", first_sequence=0)
    topic = system.topic(name, 2)
    for part, producer, wanted in ((rows, "p", 0), (more, "q", 5), (rows, "p", 0)):
        silent_once(system._producers, monkeypatch)
        for attempt in range(2):
            with pytest.raises(Unreachable) if attempt == 0 else nullcontext():
                appended = topic.append_numbered(
                    part["value"], part["key"], producer=producer, first_sequence=0
                )
        assert appended.rows == wanted
    assert pairs(kafka, name) == sorted((record(n) for n in range(15)), key=repr)
    other.close()


def test_timestamps_headers_and_places_are_kept(
    kafka: Kafka, topics: Topics, system: KafkaSystem
) -> None:
    from confluent_kafka import Consumer, TopicPartition

    name = topics.create("extras", 2)
    topic = system.topic(name, 2)
    time = datetime(2025, 3, 4, 5, 6, 7, 8000)
    headers = pa.array(
        [[{"key": "h", "value": b"1"}], None],
        pa.list_(pa.struct([("key", pa.string()), ("value", pa.binary())])),
    )
    extras = {"timestamp": pa.array([time, None], pa.timestamp("us")), "headers": headers}
    places = pa.array([1, 1]).to_numpy()
    for producer, extra in (("a", extras), ("b", {"timestamp": extras["timestamp"]})):
        topic.append_numbered(
            pa.array([b"x", b"y"]),
            producer=producer,
            first_sequence=0,
            partition=places,
            extras=extra,
        )
    consumer = Consumer(kafka.client_settings() | {"group.id": "x"})
    consumer.assign([TopicPartition(name, 1, 0)])
    found = [consumer.poll(20) for _ in range(4)]
    consumer.close()
    assert [m.value() for m in found] == [b"x", b"y"] * 2
    assert [m.headers() for m in found] == [[("h", b"1")], None, None, None]
    first = topic.fetch([0, 0], records_max=10).records.column("arrival_time").to_pylist()
    assert first[0] == first[2] == time


def test_what_the_topic_cannot_take_is_refused_before(topics: Topics, system: KafkaSystem) -> None:
    name = topics.create("small", 1, {"max.message.bytes": "5000"})
    topic = system.topic(name, 1)
    with pytest.raises(UsageError, match="larger than topic.*\n.*max.message.bytes="):
        topic.append_numbered(pa.array([b"a", b"x" * 5000]), producer="p", first_sequence=0)
    assert topic.end_offsets() == [0]


@pytest.mark.parametrize("name", ["message.timeout.ms", "transaction.timeout.ms"])
def test_the_profile_may_give_a_transaction_more_time(
    kafka: Kafka, topics: Topics, name: str
) -> None:
    system = KafkaSystem(f"kafka://{kafka.bootstrap_servers}", {name: "30000"}, answer_seconds=10)
    topic = system.topic(topics.create("patient", 1), 1)
    appended = topic.append_numbered(pa.array([b"a"]), producer="p", first_sequence=0)
    assert appended.rows == 1
    assert topic._appender._transactions.settings["transaction.timeout.ms"] == (30_000)
    system.close()


POINTS = (
    "kafka.initialised",
    "kafka.transaction.begun",
    "kafka.records.produced:2",
    "kafka.noted",
    "kafka.records.committed",
)


def test_an_appender_killed_at_every_point_appends_each_row_once(
    kafka: Kafka, topics: Topics
) -> None:
    """Each run begins from the start of the input, and is killed at the next point."""
    name = topics.create("killed", PARTITIONS)
    for point in POINTS:
        code, _ = finished(start("append", kafka.bootstrap_servers, name, 0, 6, point))
        assert code == -9, f"{point} was not reached"
    code, lines = finished(start("append", kafka.bootstrap_servers, name, 0, 6))
    assert code == 0 and lines[-1] == "took 6"
    assert pairs(kafka, name) == sorted((record(n) for n in range(60)), key=repr)
