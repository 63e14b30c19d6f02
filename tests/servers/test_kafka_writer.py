"""A job's output in Kafka: once, in order, from one writer, for readers of what is committed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pyarrow as pa
import pytest

from headrace.storage.contract import Claim, Target
from headrace.storage.kafka.marks import TOPIC, entry_key
from headrace.storage.kafka.system import KafkaSystem
from headrace.storage.kafka.writer import KafkaWriter
from headrace.storage.topics.murmur2 import partitions_of
from headrace.values.errors import StateRefused, TopicRefused
from tests.children import finished
from tests.servers.kafka import Kafka
from tests.servers.kafka_process import JOB, PARTITIONS, mark, start, step, target
from tests.servers.kafka_records import committed, pairs, produce
from tests.servers.names import Topics
from tests.storage.outbound.records import record


@pytest.fixture
def system(kafka: Kafka) -> Iterator[KafkaSystem]:
    system = KafkaSystem(f"kafka://{kafka.bootstrap_servers}", answer_seconds=10)
    yield system
    system.close()


@pytest.fixture
def topic(topics: Topics) -> str:
    return topics.create("out", PARTITIONS)


@pytest.fixture
def writer(system: KafkaSystem, topic: str) -> Iterator[Callable[[], KafkaWriter]]:
    """Makes writers, each of a process of its own as far as Kafka can tell."""
    made = []

    def make() -> KafkaWriter:
        made.append(system.destination(target(topic)))
        return made[-1]

    yield make
    for one in made:
        one.close()


Make = Callable[[], KafkaWriter]


def wanted(steps: int) -> list[object]:
    return sorted((record(n) for n in range(steps * 10)), key=repr)


def test_records_and_mark_land_together(kafka: Kafka, topic: str, writer: Make) -> None:
    one = writer()
    assert one.open(JOB, 1) is None
    assert one.deliver(step(1), mark(1)) == 10
    assert one.deliver(step(2).slice(0, 0), mark(2)) == 0
    assert one.deliver(step(2), mark(5)) == 10
    one.close()
    assert pairs(kafka, topic) == wanted(2)
    assert writer().look(JOB) == Claim(1, mark(5))
    assert writer().open(JOB, 2) == mark(5)


def test_keys_lie_where_kafka_puts_them(kafka: Kafka, topic: str, writer: Make) -> None:
    one = writer()
    one.open(JOB, 1)
    keys = [b"k%d" % n for n in range(200)]
    one.deliver(pa.table({"key": keys, "value": keys}), mark(1))
    placed = {key: partition for partition, _, key, _ in committed(kafka, topic)}
    assert [placed[k] for k in keys] == partitions_of(pa.array(keys), PARTITIONS).tolist()


def test_a_delivery_again_adds_nothing(kafka: Kafka, topic: str, writer: Make) -> None:
    one = writer()
    one.open(JOB, 1)
    one.deliver(step(1), mark(3))
    for epoch in (3, 1):
        assert one.deliver(step(1), mark(epoch)) == 10
    again = writer()
    assert again.open(JOB, 2) == mark(3)
    assert again.deliver(step(1), mark(3)) == 10
    again.deliver(step(2), mark(1, generation=2))
    assert again.deliver(step(2), mark(9)) == 10
    assert pairs(kafka, topic) == wanted(2)


def test_a_zombie_is_refused_after_its_successor_has_begun(
    kafka: Kafka, topic: str, writer: Make
) -> None:
    old, new = writer(), writer()
    old.open(JOB, 1)
    old.deliver(step(1), mark(1))
    assert new.open(JOB, 2) == mark(1)
    for _ in range(2):
        with pytest.raises(StateRefused, match="start number 2.*this one is number 1"):
            old.deliver(step(2), mark(2))
    new.deliver(step(2), mark(2))
    with pytest.raises(StateRefused, match="start number 2"):
        writer().open(JOB, 1)
    assert pairs(kafka, topic) == wanted(2)


def test_who_was_refused_once_is_refused_again(kafka: Kafka, topic: str, writer: Make) -> None:
    one = writer()
    one.open(JOB, 1)
    one.deliver(step(1), mark(1))
    # The marks are lost, and the connection with them.
    produce(kafka, TOPIC, [(entry_key(JOB, topic), None)])
    one.close()
    for _ in range(2):
        with pytest.raises(StateRefused, match="not what this job left"):
            one.deliver(step(2), mark(2))
    assert pairs(kafka, topic) == wanted(1)


def test_a_newcomer_with_other_data_is_refused_and_stops_nobody(
    kafka: Kafka, topic: str, writer: Make
) -> None:
    rightful = writer()
    rightful.open(JOB, 3)
    rightful.deliver(step(1), mark(1))
    for incarnation in (1, 3):
        with pytest.raises(StateRefused, match="runs elsewhere"):
            writer().open(JOB, incarnation)
    rightful.deliver(step(2), mark(2))
    assert pairs(kafka, topic) == wanted(2)


def test_who_took_the_id_without_the_right_stops_the_owner_for_one_delivery_only(
    kafka: Kafka, topic: str, writer: Make
) -> None:
    from confluent_kafka import Producer

    rightful = writer()
    rightful.open(JOB, 3)
    rightful.deliver(step(1), mark(1))
    settings = {"transactional.id": f"headrace/{JOB}/{topic}"}
    Producer(kafka.client_settings() | settings).init_transactions(20)
    rightful.deliver(step(2), mark(2))
    assert pairs(kafka, topic) == wanted(2)


def test_two_that_begin_at_once_leave_one_owner(kafka: Kafka, topic: str, writer: Make) -> None:
    refused: list[int] = []
    ready = threading.Barrier(2)

    def run(number: int) -> None:
        one = writer()
        ready.wait()
        try:
            one.open(JOB, 1)
            for epoch in range(1, 6):
                one.deliver(step(epoch), mark(epoch))
        except StateRefused:
            refused.append(number)

    threads = [threading.Thread(target=run, args=(n,)) for n in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 1
    assert pairs(kafka, topic) == wanted(5)


def test_outputs_and_jobs_do_not_disturb_each_other(
    kafka: Kafka, topic: str, topics: Topics, system: KafkaSystem, writer: Make
) -> None:
    one = writer()
    other_job = system.destination(Target("other", topic, "topic", (), partitions=PARTITIONS))
    more = system.destination(target(topics.create("more", PARTITIONS)))
    assert one.open(JOB, 4) is None
    assert other_job.open("other", 1) is None
    assert more.open(JOB, 1) is None
    one.deliver(step(1), mark(7))
    more.deliver(step(1), mark(1))
    assert other_job.refusals(-1) == ()
    assert writer().look(JOB) == Claim(4, mark(7))
    assert other_job.look("other") == Claim(1, None)
    with pytest.raises(StateRefused, match='opened by "other"'):
        other_job.deliver(step(2), mark(8))
    assert pairs(kafka, topic) == wanted(1)
    other_job.close()
    more.close()


def test_rows_that_are_too_large_are_kept_as_refused(
    kafka: Kafka, topics: Topics, system: KafkaSystem
) -> None:
    name = topics.create("small", PARTITIONS, {"max.message.bytes": "2000"})
    writer = system.destination(target(name))
    writer.open(JOB, 1)
    values = [b"x" * 1500, b"y" * 3000, b"z", b'{"n":"\xff' + b"w" * 9000] * 3
    keys = [b"a", b"b", None, None] * 3
    rows = pa.table({"key": keys, "value": values})
    assert writer.deliver(rows, mark(1)) == 6
    assert writer.deliver(rows, mark(1)) == 6
    landed = [(key, value) for key, value in zip(keys, values, strict=True) if len(value) < 2000]
    assert pairs(kafka, name) == sorted(landed, key=repr)
    found = writer.refusals(-1)
    assert [r.number for r in found] == [mark(1).number] * 6
    assert all("max.message.bytes" in r.reason and len(r.row) < 6000 for r in found)
    assert '"key": "b"' in found[0].row
    assert writer.refusals(mark(1).number) == ()
    again = system.destination(target(name))
    again.open(JOB, 2)
    assert again.refusals(-1) == found
    writer.close()
    again.close()


def test_a_topic_made_again_under_a_writer(kafka: Kafka, topic: str, writer: Make) -> None:
    one = writer()
    one.open(JOB, 1)
    one.deliver(step(1), mark(1))
    kafka.delete_topics([topic])
    with pytest.raises(TopicRefused, match="no topic"):
        one.deliver(step(2), mark(2))
    kafka.create_topic(topic, PARTITIONS)
    with pytest.raises(TopicRefused, match="deleted and made again.*\n.*state reset APP") as told:
        one.deliver(step(2), mark(2))
    assert "state seek" not in str(told.value), "that is for topics that a job reads"
    assert committed(kafka, topic) == []
    new = writer()
    assert new.open(JOB, 2) is None, "what is there now has nothing of it"
    new.deliver(step(1), mark(1))
    assert pairs(kafka, topic) == wanted(1)


def test_a_topic_with_other_partitions_is_refused(topics: Topics, system: KafkaSystem) -> None:
    name = topics.create("wide", PARTITIONS + 1)
    with pytest.raises(TopicRefused, match="has 3 partitions, not 2"):
        system.destination(target(name)).open(JOB, 1)
    with pytest.raises(TopicRefused, match="--create-topics"):
        system.destination(target(topics.name("none"))).open(JOB, 1)


def test_marks_that_went_back_stop_the_job(kafka: Kafka, topic: str, writer: Make) -> None:
    one = writer()
    one.open(JOB, 1)
    one.deliver(step(1), mark(1))
    produce(kafka, TOPIC, [(one._key, None)])
    one._transactions.close()
    with pytest.raises(StateRefused, match="not what this job left"):
        one.deliver(step(2), mark(2))
    assert pairs(kafka, topic) == wanted(1)


def test_marks_must_not_be_forgotten_with_age(kafka: Kafka) -> None:
    from confluent_kafka.admin import RESOURCE_TOPIC, ConfigResource

    admin = kafka.admin()
    resource = ConfigResource(RESOURCE_TOPIC, TOPIC)
    found = admin.describe_configs([resource])[resource].result(20)
    assert found["cleanup.policy"].value == "compact"


# The first transaction of a start takes the output, the next ones deliver.
POINTS = (
    "kafka.initialised",
    "kafka.transaction.begun",
    "kafka.claimed",
    "kafka.transaction.begun:3",
    "kafka.produced:2",
    "kafka.marked",
    "kafka.committed",
    "kafka.committed:2",
)


def test_a_writer_killed_at_every_point_delivers_each_row_once(kafka: Kafka, topic: str) -> None:
    """Each start goes on where the last one was killed, and is killed at the next point."""
    taken = 0
    for number, point in enumerate(POINTS, 1):
        code, lines = finished(start("deliver", kafka.bootstrap_servers, topic, number, 99, point))
        assert code == -9, f"{point} was not reached"
        if lines:
            landed = int(lines[0].split()[1])
            before = POINTS[number - 2]
            assert landed == taken + before.startswith("kafka.committed"), before
            taken = landed + len(lines) - 1
    code, lines = finished(start("deliver", kafka.bootstrap_servers, topic, 99, taken + 3))
    assert code == 0
    assert pairs(kafka, topic) == wanted(taken + 3)


def test_what_was_delivered_is_seen_at_once(kafka: Kafka, topic: str, system: KafkaSystem) -> None:
    writer = system.destination(target(topic))
    writer.open(JOB, 1)
    for epoch in range(1, 21):
        writer.deliver(step(epoch), mark(epoch))
        snapshot = system.snapshot([target(topic)])
        assert snapshot.rows(target(topic)).read_all().num_rows == 10 * epoch
        assert writer.look(JOB) == Claim(1, mark(epoch))
        snapshot.close()
    writer.close()
