"""A topic in Kafka, read by offset: all that is committed, each record once, in one order."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from headrace.storage.contract import Target
from headrace.storage.kafka import cursor
from headrace.storage.kafka.system import KafkaSystem
from headrace.storage.kafka.topic import KafkaTopic
from headrace.values import weights
from headrace.values.errors import TopicRefused, Unreachable, UsageError
from tests.servers.kafka import Kafka
from tests.servers.kafka_records import committed, listed, produce, read_all, transact
from tests.servers.names import Topics, unique_name


@pytest.fixture
def system(kafka: Kafka) -> Iterator[KafkaSystem]:
    system = KafkaSystem(f"kafka://{kafka.bootstrap_servers}", answer_seconds=5)
    yield system
    system.close()


def numbered(first: int, count: int) -> list[tuple[bytes | None, bytes | None]]:
    return [(None if n % 3 else b"k%d" % n, b"v%d" % n) for n in range(first, first + count)]


def test_every_cut_of_a_range_gives_the_same_records(
    kafka: Kafka, topics: Topics, system: KafkaSystem
) -> None:
    name = topics.create("cuts", 3)
    for partition, count in enumerate((900, 0, 2100)):
        produce(kafka, name, numbered(0, count), partition=partition)
    transact(kafka, name, unique_name("a"), [b"gone"] * 50, commit=False, partition=1)
    transact(kafka, name, unique_name("b"), [b"kept"] * 70, commit=True, partition=1)
    wanted = committed(kafka, name)
    topic = system.topic(name, 3)
    whole = topic.fetch([0, 0, 0], topic.end_offsets(), records_max=1 << 30)
    assert listed(whole.records) == wanted
    assert whole.next_offsets == topic.end_offsets() == [900, 122, 2100]
    assert sorted(read_all(topic, records_max=100)) == wanted
    random_ = random.Random(5)
    at, found = [0, 0, 0], []
    while at != [900, 122, 2100]:
        stop = [
            min(a + random_.randrange(200), e) for a, e in zip(at, [900, 122, 2100], strict=True)
        ]
        part = topic.fetch(at, stop, records_max=1 << 30)
        assert part.next_offsets == stop
        assert listed(part.records) == [r for r in wanted if at[r[0]] <= r[1] < stop[r[0]]]
        found += listed(part.records)
        at = stop
    assert sorted(found) == wanted


def test_ranges_are_read_again_beside_the_live_one(
    kafka: Kafka, topics: Topics, system: KafkaSystem
) -> None:
    name = topics.create("again", 2)
    for partition in range(2):
        produce(kafka, name, numbered(0, 500), partition=partition)
    topic, wanted = system.topic(name, 2), committed(kafka, name)
    at, found = [0, 0], []
    for n in range(10):
        at_before, at = at, [50 * (n + 1)] * 2
        found += listed(topic.fetch(at_before, at, records_max=1000).records)
        for first in (0, 7 * n, 3):
            again = topic.fetch([first, 0], [first + 20, 0], records_max=1000)
            assert listed(again.records) == [
                r for r in wanted if r[0] == 0 and first <= r[1] < first + 20
            ]
    assert sorted(found) == wanted


def test_aborted_and_open_transactions_are_not_read(
    kafka: Kafka, topics: Topics, system: KafkaSystem
) -> None:
    from confluent_kafka import Producer

    name = topics.create("open", 1)
    topic = system.topic(name, 1)
    transact(kafka, name, unique_name("x"), [b"1", b"2"], commit=True)
    producer = Producer(kafka.client_settings() | {"transactional.id": unique_name("y")})
    producer.init_transactions(20)
    producer.begin_transaction()
    producer.produce(name, b"later", partition=0)
    assert producer.flush(20) == 0
    produce(kafka, name, [(None, b"behind")])
    time.sleep(0.05)
    assert topic.end_offsets() == [3]
    first = topic.fetch([0], records_max=10)
    assert [r[3] for r in listed(first.records)] == [b"1", b"2"]
    assert first.next_offsets == [3]
    assert not topic.wait([3], 0.1)
    producer.commit_transaction(20)
    assert topic.wait([3], 5)
    assert [r[3] for r in read_all(topic, [3])] == [b"later", b"behind"]


def test_whatever_a_record_may_be(kafka: Kafka, topics: Topics, system: KafkaSystem) -> None:
    name = topics.create("kinds", 1)
    records = [
        (None, None),
        (b"", b""),
        (b"k", None),
        (None, b"\x00\xff"),
        (b"\xff", b"x" * 900_000),
    ]
    for codec in ("none", "gzip", "snappy", "lz4", "zstd"):
        produce(kafka, name, records, settings={"compression.type": codec})
    produce(kafka, name, records, headers=[("trace", b"1"), ("empty", None)])
    found = read_all(system.topic(name, 1))
    assert [(key, value) for *_, key, value in found] == records * 6


def test_arrival_is_the_records_own_time_however_far_ahead(
    kafka: Kafka, topics: Topics, system: KafkaSystem
) -> None:
    created = topics.create("created", 1, {"message.timestamp.after.max.ms": str(10**15)})
    appended = topics.create("appended", 1, {"message.timestamp.type": "LogAppendTime"})
    now = datetime.now(UTC)
    past_ms, ahead_ms = 1_500_000_000_123, int((now + timedelta(days=9)).timestamp() * 1000)
    for name in (created, appended):
        produce(kafka, name, [(None, b"p")], timestamp=past_ms)
        produce(kafka, name, [(None, b"f")], timestamp=ahead_ms)

    def arrivals(name: str) -> list[datetime]:
        records = system.topic(name, 1).fetch([0], records_max=10).records
        return [time.replace(tzinfo=UTC) for time in records.column("arrival_time").to_pylist()]

    produce(kafka, created, [(None, b"far")], timestamp=10**15)
    assert arrivals(created) == [
        *(datetime.fromtimestamp(ms / 1000, UTC) for ms in (past_ms, ahead_ms)),
        datetime.max.replace(microsecond=999_000, tzinfo=UTC),
    ]
    assert arrivals(appended) == arrivals(appended)
    assert all(abs(time - now) < timedelta(minutes=1) for time in arrivals(appended))


def test_waiting_ends_with_a_record_and_keeps_it(
    kafka: Kafka, topics: Topics, system: KafkaSystem
) -> None:
    name = topics.create("waiting", 2)
    topic = system.topic(name, 2)
    begun = time.monotonic()
    assert not topic.wait([0, 0], 0.2)
    assert 0.15 < time.monotonic() - begun < 2
    produce(kafka, name, [(None, b"v")], partition=1)
    assert topic.wait([0, 0], 5)
    time.sleep(0.05)
    assert listed(topic.fetch([0, 0], [0, 1], records_max=9).records) == [(1, 0, None, b"v")]
    assert not topic.wait([0, 1], 0.05)


def test_what_retention_took_is_refused(kafka: Kafka, topics: Topics, system: KafkaSystem) -> None:
    from confluent_kafka import TopicPartition

    name = topics.create("short", 2)
    for partition in range(2):
        produce(kafka, name, numbered(0, 100), partition=partition)
    topic = system.topic(name, 2)
    topic.fetch([0, 0], [10, 10], records_max=100)
    places = [TopicPartition(name, 1, 40)]
    admin = kafka.admin()
    for answer in admin.delete_records(places).values():
        answer.result(20)
    assert topic.begin_offsets() == [0, 40]
    other = system.topic(name, 2)
    with pytest.raises(TopicRefused, match="no longer has offset 39 of partition 1.*before 40"):
        other.fetch([0, 39], [0, 60], records_max=100)
    with pytest.raises(TopicRefused, match="ends at offset 100 of partition 0, but offset 101"):
        other.fetch([101, 40], [102, 60], records_max=100)
    assert len(read_all(other, [0, 40])) == 160


def test_a_topic_made_again_is_another(kafka: Kafka, topics: Topics, system: KafkaSystem) -> None:
    name = topics.create("twice", 1)
    produce(kafka, name, numbered(0, 50))
    topic = system.topic(name, 1)
    assert len(read_all(topic, [0])) == 50
    kafka.delete_topics([name])
    with pytest.raises(TopicRefused, match="There is no topic.*\n.*--create-topics"):
        topic.fetch([0], [50], records_max=100)
    kafka.create_topic(name, 1)
    # More than was read of the old one: nothing but the identity tells them apart.
    produce(kafka, name, numbered(0, 200))
    with pytest.raises(TopicRefused, match="deleted and made again"):
        topic.fetch([50], [60], records_max=100)
    with pytest.raises(TopicRefused, match="deleted and made again"):
        time.sleep(1.1)
        topic.end_offsets()
    assert system.topic(name, 1).identity != topic.identity


def test_who_only_looks_at_a_topic_is_not_sent_elsewhere(
    kafka: Kafka, topics: Topics, system: KafkaSystem
) -> None:
    name = topics.create("looked_at", 1)
    produce(kafka, name, numbered(0, 50))
    target = Target("job", name, "topic", (), partitions=1)
    with closing(system.snapshot([target])) as looking:
        kafka.delete_topics([name])
        kafka.create_topic(name, 1)
        produce(kafka, name, numbered(0, 50))
        with pytest.raises(TopicRefused, match="deleted and made again.*\n.*command again") as told:
            looking.rows(target).read_all()
    assert "headrace state" not in str(told.value)


def test_a_reader_that_goes_on_notices_a_topic_made_again(
    kafka: Kafka, topics: Topics, system: KafkaSystem
) -> None:
    name = topics.create("under", 1)
    produce(kafka, name, numbered(0, 50))
    topic = system.topic(name, 1)
    at = topic.fetch([0], [50], records_max=100).next_offsets
    kafka.delete_topics([name])
    kafka.create_topic(name, 1)
    produce(kafka, name, numbered(1000, 200))
    with pytest.raises(TopicRefused, match="deleted and made again"):
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            topic.wait(at, 0.1)
            assert len(topic.fetch(at, topic.end_offsets(), records_max=100).records) == 0


def test_new_partitions_are_noticed_and_taken(
    kafka: Kafka, topics: Topics, system: KafkaSystem
) -> None:
    name = topics.create("grows", 1)
    produce(kafka, name, numbered(0, 5))
    topic = system.topic(name, 1)
    assert topic.grown() is None
    kafka.add_partitions(name, 3)
    deadline = time.monotonic() + 10
    while topic.grown() is None:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert topic.grown() == 3
    assert topic.end_offsets() == [5], "not before it is asked for"
    topic.grow()
    produce(kafka, name, numbered(0, 5), partition=2)
    time.sleep(0.05)
    assert topic.end_offsets() == [5, 0, 5]
    assert len(topic.fetch([0, 0, 0], records_max=100).records) == 10
    with pytest.raises(UsageError, match="takes 3 offsets"):
        topic.fetch([0], records_max=100)
    assert system.topic(name, 1).partitions == 3
    with pytest.raises(TopicRefused, match="has 3 partitions, not 4"):
        system.topic(name, 4)


def test_others_see_how_far_a_job_has_read(
    kafka: Kafka, topics: Topics, system: KafkaSystem
) -> None:
    from confluent_kafka import Consumer, TopicPartition

    name, group = topics.create("lag", 2), unique_name("headrace-job")
    topic = system.topic(name, 2)
    topic.commit(group, [0, 0])
    deadline = time.monotonic() + 20
    consumer = Consumer(kafka.client_settings() | {"group.id": group})
    places = [TopicPartition(name, p) for p in range(2)]
    while [at.offset for at in consumer.committed(places, timeout=20)] != [3, 4]:
        assert time.monotonic() < deadline
        begun = time.monotonic()
        topic.commit(group, [3, 4])
        assert time.monotonic() - begun < 0.1
        time.sleep(0.05)
    consumer.close()


def test_a_snapshot_ends_where_the_topic_ended(
    kafka: Kafka, topics: Topics, system: KafkaSystem
) -> None:
    name = topics.create("moment", 2)
    produce(kafka, name, numbered(0, 300))
    target = Target("job", name, "topic", (("key", "BLOB"), ("value", "BLOB")), partitions=2)
    snapshot = system.snapshot([target])
    wanted = committed(kafka, name)
    produce(kafka, name, numbered(300, 5), partition=1)
    reader = snapshot.rows(target)
    assert isinstance(reader, pa.RecordBatchReader)
    assert listed(reader.read_all()) == wanted
    snapshot.close()


def test_a_snapshot_waits_a_moment_for_what_is_being_committed(
    kafka: Kafka, topics: Topics, system: KafkaSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    from confluent_kafka import Producer

    name = topics.create("ending", 1)
    produce(kafka, name, [(None, b"1")])
    target = Target("job", name, "topic", (("key", "BLOB"), ("value", "BLOB")), partitions=1)
    producer = Producer(kafka.client_settings() | {"transactional.id": unique_name("t")})
    producer.init_transactions(20)
    producer.begin_transaction()
    producer.produce(name, b"2", partition=0)
    assert producer.flush(20) == 0
    with monkeypatch.context() as short:
        short.setattr("headrace.storage.kafka.topic._SETTLING_SECONDS_MAX", 0.2)
        with closing(system.snapshot([target])) as before:
            assert [r[3] for r in listed(before.rows(target).read_all())] == [b"1"]
    ending = threading.Timer(0.3, producer.commit_transaction, [20])
    ending.start()
    with closing(system.snapshot([target])) as after:
        assert [r[3] for r in listed(after.rows(target).read_all())] == [b"1", b"2"]
    ending.join()


def test_a_snapshot_goes_on_where_retention_took_from_it_meanwhile(
    kafka: Kafka, topics: Topics, system: KafkaSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    from confluent_kafka import TopicPartition

    name = topics.create("shrinking", 2)
    for partition in range(2):
        produce(kafka, name, numbered(0, 100), partition=partition)
    wanted = [r for r in committed(kafka, name) if r[0] == 0 or r[1] >= 40]
    target = Target("job", name, "topic", (("key", "BLOB"), ("value", "BLOB")), partitions=2)
    admin, begin_offsets = kafka.admin(), KafkaTopic.begin_offsets

    def taken_after(topic: KafkaTopic) -> list[int]:
        begin = begin_offsets(topic)
        (answer,) = admin.delete_records([TopicPartition(name, 1, 40)]).values()
        answer.result(20)
        return begin

    with closing(system.snapshot([target])) as snapshot:
        monkeypatch.setattr(KafkaTopic, "begin_offsets", taken_after)
        assert listed(snapshot.rows(target).read_all()) == wanted
        assert snapshot.kept(target).begins == (0, 40)


def test_a_missing_topic_is_named_with_its_remedy(topics: Topics, system: KafkaSystem) -> None:
    name = topics.name("missing")
    with pytest.raises(TopicRefused, match=f'no topic "{name}".*\n.*headrace run APP --create'):
        system.topic(name, 1)
    assert system.create_topic(name, 2)
    assert not system.create_topic(name, 2)
    assert system.topic(name, 2).end_offsets() == [0, 0]
    levels = {f.subject: f.level for f in system.findings([], {name: 3, "nowhere": 1})}
    assert levels[f"topic {name}"] == levels["topic nowhere"] == "error"
    assert levels[system.address] == "ok"


def test_a_client_that_gives_nothing_more_is_replaced(
    kafka: Kafka, topics: Topics, system: KafkaSystem
) -> None:
    """The client may never read on after a moment without leaders (librdkafka, issue 5430)."""
    name = topics.create("stuck", 1)
    produce(kafka, name, numbered(0, 10))
    topic = system.topic(name, 1)
    topic.fetch([0], [10], records_max=100)
    topic._cursors[0]._consumer.unassign()
    produce(kafka, name, numbered(10, 10))
    with pytest.raises(Unreachable):
        topic.fetch([10], [20], records_max=100)
    assert listed(topic.fetch([10], [20], records_max=100).records) == committed(kafka, name)[10:]


def test_where_nobody_answers_it_says_so() -> None:
    system = KafkaSystem("kafka://ann:geheim@127.0.0.1:1", answer_seconds=1)
    begun = time.monotonic()
    with pytest.raises(Unreachable) as caught:
        system.topic("t", 1)
    assert time.monotonic() - begun < 5
    assert "geheim" not in str(caught.value) and "127.0.0.1:1" in str(caught.value)
    findings = system.findings([], {"t": 1})
    assert [f.level for f in findings] == ["error"]
    assert "geheim" not in repr(findings)
    system.close()


def test_a_partition_that_gives_more_than_is_asked_for_waits(
    kafka: Kafka, topics: Topics, system: KafkaSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cursor, "_AHEAD_ROWS_MAX", 20)
    monkeypatch.setattr(cursor, "_MESSAGES_MAX", 50)
    name, ends = topics.create("uneven", 3), [3000, 1000, 10]
    for partition, count in enumerate(ends):
        produce(kafka, name, numbered(0, count), partition=partition)
    topic, random_ = system.topic(name, 3), random.Random(2)
    at, found = [0, 0, 0], []
    while at != ends:
        # Now one partition is far ahead, now another.
        steps = [random_.choice((0, 1, 150)) for _ in ends]
        stop = [min(a + step, end) for a, step, end in zip(at, steps, ends, strict=True)]
        part = topic.fetch(at, stop, records_max=random_.choice((100, 1 << 30)))
        assert part.next_offsets == stop or len(part.records) >= 100
        found += listed(part.records)
        at = part.next_offsets
    assert sorted(found) == committed(kafka, name)


def test_large_records_come_in_smaller_parts(
    kafka: Kafka, topics: Topics, system: KafkaSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, "_READ_BYTES_MIN", 1 << 20)
    monkeypatch.setattr(cursor, "_MESSAGES_MAX", 4)
    name = topics.create("large", 1)
    produce(kafka, name, [(None, b"%d" % n + b"x" * 300_000) for n in range(20)])
    topic = system.topic(name, 1)
    first = topic.fetch([0], [20], records_max=1000)
    assert 3 <= len(first.records) <= 8
    assert len(read_all(topic, first.next_offsets)) == 20 - len(first.records)
    assert len(topic.fetch([0], [20], records_max=1 << 30).records) == 20


def test_the_last_offsets_are_shown_when_a_reader_ends(
    kafka: Kafka, topics: Topics, system: KafkaSystem
) -> None:
    from confluent_kafka import Consumer, TopicPartition

    name, group = topics.create("last", 1), unique_name("headrace-job")
    produce(kafka, name, numbered(0, 9))
    topic = system.topic(name, 1)
    for offset in range(1, 10):
        topic.commit(group, [offset])
    topic.close()
    consumer = Consumer(kafka.client_settings() | {"group.id": group})
    assert consumer.committed([TopicPartition(name, 0)], timeout=20)[0].offset == 9
    consumer.close()
