"""A broker that is killed, paused, started late: nothing is lost, nothing is there twice."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

import pytest

from headrace.storage.kafka.address import Address
from headrace.storage.kafka.cluster import Cluster
from headrace.storage.kafka.marks import TOPIC as MARKS
from headrace.storage.kafka.system import KafkaSystem
from headrace.values.errors import Unreachable
from tests.servers.fixtures import OrSkipped
from tests.servers.kafka import Kafka
from tests.servers.kafka_process import JOB, PARTITIONS, mark, step, target
from tests.servers.kafka_records import committed, listed, pairs, produce
from tests.servers.names import unique_name
from tests.servers.ports import HOST, free_port
from tests.storage.outbound.records import record

T = TypeVar("T")
PATIENCE_SECONDS = 60


@pytest.fixture(scope="module")
def broker() -> Iterator[Kafka]:
    """A Kafka of this file alone; every test leaves it running."""
    with OrSkipped() as servers:
        settings = {
            "transaction.abort.timed.out.transaction.cleanup.interval.ms": "200",
            "log.cleaner.backoff.ms": "100",
        }
        yield servers.kafka(settings=settings).start()


@pytest.fixture
def topic(broker: Kafka) -> str:
    name = unique_name("faults")
    broker.create_topic(name, PARTITIONS)
    return name


@pytest.fixture
def system(broker: Kafka) -> Iterator[KafkaSystem]:
    system = KafkaSystem(f"kafka://{broker.bootstrap_servers}", answer_seconds=2)
    yield system
    system.close()


def until_reached(work: Callable[[], T]) -> tuple[T, int]:
    """What `work` returns when the system is there, and how often it was not."""
    deadline, failures = time.monotonic() + PATIENCE_SECONDS, 0
    while True:
        try:
            return work(), failures
        except Unreachable:
            failures += 1
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def wanted(steps: int) -> list[object]:
    return sorted((record(n) for n in range(steps * 10)), key=repr)


@pytest.mark.parametrize("fault", ["kill", "pause"])
def test_deliveries_go_on_after_the_broker_was_away(
    broker: Kafka, topic: str, system: KafkaSystem, fault: str
) -> None:
    writer = system.destination(target(topic))
    writer.open(JOB, 1)
    writer.deliver(step(1), mark(1))
    if fault == "kill":
        broker.kill()
    else:
        broker.pause()
    begun = time.monotonic()
    with pytest.raises(Unreachable):
        writer.deliver(step(2), mark(2))
    assert time.monotonic() - begun < 10
    if fault == "kill":
        broker.start()
    else:
        broker.resume()
    until_reached(lambda: writer.deliver(step(2), mark(2)))
    until_reached(lambda: writer.deliver(step(3), mark(3)))
    writer.close()
    assert pairs(broker, topic) == wanted(3)


def test_a_broker_paused_at_any_moment_of_a_delivery(
    broker: Kafka, topic: str, system: KafkaSystem
) -> None:
    writer = system.destination(target(topic))
    writer.open(JOB, 1)
    failures = 0
    for epoch in range(1, 5):
        # Each time a little later: before, in and behind the transaction.
        pausing = threading.Timer(0.006 * epoch, broker.pause)
        resuming = threading.Timer(2.4, broker.resume)
        pausing.start()
        resuming.start()
        failures += until_reached(lambda e=epoch: writer.deliver(step(e), mark(e)))[1]
        pausing.join()
        resuming.join()
    writer.close()
    assert pairs(broker, topic) == wanted(4)
    assert failures > 0, "no delivery met the pause"


def test_reading_goes_on_after_the_broker_was_killed(
    broker: Kafka, topic: str, system: KafkaSystem
) -> None:
    for partition in range(PARTITIONS):
        values = [(None, b"v%d" % n) for n in range(1000)]
        produce(broker, topic, values, partition=partition)
    source = system.topic(topic, PARTITIONS)
    first = source.fetch([0, 0], [300, 300], records_max=10_000)
    broker.kill()
    assert not source.wait([1000, 1000], 0.2)
    with pytest.raises(Unreachable):
        source.end_offsets()
    for offset in (300, 0):
        with pytest.raises(Unreachable):
            source.fetch([offset] * 2, [1000, 1000], records_max=10_000)
    broker.start()
    ends, _ = until_reached(source.end_offsets)
    assert ends == [1000, 1000]
    second, _ = until_reached(lambda: source.fetch([300, 300], ends, records_max=10_000))
    found = listed(first.records) + listed(second.records)
    assert sorted(found) == committed(broker, topic)


def test_appending_goes_on_after_the_broker_was_killed(
    broker: Kafka, topic: str, system: KafkaSystem
) -> None:
    source = system.topic(topic, PARTITIONS)

    def append(number: int) -> None:
        rows = step(number)
        source.append_numbered(
            rows.column("value"),
            rows.column("key"),
            producer="p",
            first_sequence=(number - 1) * 10,
        )

    append(1)
    broker.kill()
    with pytest.raises(Unreachable):
        append(2)
    broker.start()
    for number in (2, 3):
        until_reached(lambda n=number: append(n))
    assert pairs(broker, topic) == wanted(3)


def test_a_delivery_that_took_too_long_is_made_again(
    broker: Kafka, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a pause of this process: the broker has ended the transaction meanwhile."""
    system = KafkaSystem(
        f"kafka://{broker.bootstrap_servers}",
        {"transaction.timeout.ms": "1000", "message.timeout.ms": "1000"},
    )
    writer = system.destination(target(topic))
    writer.open(JOB, 1)
    writer.deliver(step(1), mark(1))
    slept: list[str] = []

    def sleep_once(point: str) -> None:
        if point == "kafka.produced" and not slept:
            slept.append(point)
            time.sleep(3)

    monkeypatch.setattr("headrace.storage.kafka.writer.reach", sleep_once)
    until_reached(lambda: writer.deliver(step(2), mark(2)))
    writer.deliver(step(3), mark(3))
    assert slept
    assert pairs(broker, topic) == wanted(3)
    system.close()


def test_marks_are_found_after_their_topic_was_compacted(
    broker: Kafka, topic: str, system: KafkaSystem
) -> None:
    from confluent_kafka.admin import (
        RESOURCE_TOPIC,
        AlterConfigOpType,
        ConfigEntry,
        ConfigResource,
    )

    old = system.destination(target(topic))
    old.open(JOB, 1)
    entries = [
        ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
        for name, value in (("segment.ms", "100"), ("min.cleanable.dirty.ratio", "0.01"))
    ]
    admin = broker.admin()
    change = ConfigResource(RESOURCE_TOPIC, MARKS, incremental_configs=entries)
    for answer in admin.incremental_alter_configs([change]).values():
        answer.result(20)
    epoch, deadline = 0, time.monotonic() + 40
    while not epoch or len(committed(broker, MARKS)) >= epoch:
        assert time.monotonic() < deadline, "it was not compacted"
        epoch += 1
        old.deliver(step(epoch), mark(epoch))
    again = KafkaSystem(f"kafka://{broker.bootstrap_servers}")
    new = again.destination(target(topic))
    assert new.open(JOB, 2) == mark(epoch)
    new.deliver(step(epoch + 1), mark(epoch + 1))
    assert pairs(broker, topic) == wanted(epoch + 1)
    again.close()


def test_a_client_that_lost_sight_of_the_cluster_is_made_anew(broker: Kafka, topic: str) -> None:
    """A stuck client stands in as one of a port where nobody listens: nothing makes one get stuck.

    librdkafka forgets all brokers, and never asks again, when it hears that there is none.
    """
    own, elsewhere = (
        Cluster(Address.parse(f"kafka://{servers}", {}), answer_seconds=2)
        for servers in (broker.bootstrap_servers, f"{HOST}:{free_port()}")
    )
    assert own.about(topic).partitions == PARTITIONS
    own._admin = elsewhere.admin()
    with pytest.raises(Unreachable):
        own.about(topic)
    assert own.about(topic).partitions == PARTITIONS


def test_what_came_before_an_outage_is_read_again(own_kafka: Kafka) -> None:
    """The broker comes back with an older copy of its data, and others take the offsets."""
    name = unique_name("faults")
    own_kafka.create_topic(name, 1)
    produce(own_kafka, name, [(None, b"%d" % n) for n in range(3)])
    own_kafka.stop()
    backup = own_kafka.back_up()
    own_kafka.start()
    system = KafkaSystem(f"kafka://{own_kafka.bootstrap_servers}", answer_seconds=2)
    topic = system.topic(name, 1)
    assert len(topic.fetch([0], records_max=9).records) == 3
    produce(own_kafka, name, [(None, b"lost")])
    assert topic.wait([3], PATIENCE_SECONDS)
    own_kafka.stop()
    with pytest.raises(Unreachable):
        topic.end_offsets()
    own_kafka.restore(backup)
    own_kafka.start()
    produce(own_kafka, name, [(None, b"new")])
    fetched, _ = until_reached(lambda: topic.fetch([3], records_max=9))
    assert fetched.records.column("value").to_pylist() == [b"new"]
    system.close()


def test_a_broker_that_is_started_late(tmp_path) -> None:
    with OrSkipped() as servers:
        late = servers.kafka()
        system = KafkaSystem(f"kafka://{late.bootstrap_servers}", answer_seconds=1)
        with pytest.raises(Unreachable):
            system.topic("t", 1)
        late.start()
        made, _ = until_reached(lambda: system.create_topic("t", 1))
        assert made
        writer = system.destination(target("t"))
        assert until_reached(lambda: system.topic("t", 1).end_offsets())[0] == [0]
        assert writer.refusals(-1) == ()
        system.close()
