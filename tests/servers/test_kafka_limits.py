"""Rows that Kafka refuses for good: left out, kept and told, whoever set the limit, and when."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator

import pyarrow as pa
import pytest

from headrace.storage.kafka.system import KafkaSystem
from headrace.values.errors import TopicRefused, UsageError
from tests.servers.kafka import Kafka
from tests.servers.kafka_process import JOB, PARTITIONS, mark, target
from tests.servers.kafka_records import committed, pairs
from tests.servers.names import Topics

SECONDS_MAX = 20


@pytest.fixture
def system(kafka: Kafka) -> Iterator[KafkaSystem]:
    system = KafkaSystem(f"kafka://{kafka.bootstrap_servers}", answer_seconds=10)
    yield system
    system.close()


def rows(*sizes: int, key: bytes | None = b"k") -> pa.Table:
    """Values of these sizes, which no compression makes smaller."""
    values = [random.Random(size).randbytes(size) for size in sizes]
    return pa.table(
        {"key": pa.array([key] * len(sizes), pa.binary()), "value": pa.array(values, pa.binary())}
    )


def sizes(kafka: Kafka, name: str) -> list[int]:
    return sorted(len(value or b"") for _, value in pairs(kafka, name))


def until(look: Callable[[], bool]) -> None:
    """A broker takes a changed setting in a moment later."""
    deadline = time.monotonic() + SECONDS_MAX
    while not look():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def changed(kafka: Kafka, system: KafkaSystem, name: str, setting: str, value: str) -> None:
    kafka.configure_topic(name, setting, value)
    until(lambda: system._cluster.settings(name)[setting] == value)


def test_the_profile_may_take_less_than_the_topic(kafka: Kafka, topics: Topics) -> None:
    name = topics.create("out", PARTITIONS)
    properties = {"message.max.bytes": "20000"}
    system = KafkaSystem(f"kafka://{kafka.bootstrap_servers}", properties, answer_seconds=10)
    writer = system.destination(target(name))
    writer.open(JOB, 1)
    assert writer.deliver(rows(100, 19_000, 19_800, 30_000), mark(1)) == 2
    assert writer.deliver(rows(100, 19_000, 19_800, 30_000), mark(1)) == 2
    assert sizes(kafka, name) == [100, 19_000]
    assert ["kafka.message.max.bytes" in r.reason for r in writer.refusals(-1)] == [True, True]
    topic = system.topic(name, PARTITIONS)
    with pytest.raises(UsageError, match="larger than topic.*\n.*kafka.message.max.bytes = "):
        topic.append_numbered(rows(30_000)["value"], producer="p", first_sequence=0)
    writer.close()
    system.close()


def test_the_topic_may_be_changed_under_the_writer(
    kafka: Kafka, topics: Topics, system: KafkaSystem
) -> None:
    name = topics.create("out", PARTITIONS)
    writer = system.destination(target(name))
    writer.open(JOB, 1)
    writer.deliver(rows(100), mark(1))
    changed(kafka, system, name, "max.message.bytes", "2000")
    # One that is too large, and more small ones than go into a batch of that size.
    assert writer.deliver(rows(3_000, *[500] * 20), mark(2)) == 20
    assert [r.number for r in writer.refusals(-1)] == [mark(2).number]
    # None is refused for a limit that is no more.
    changed(kafka, system, name, "max.message.bytes", "50000")
    assert writer.deliver(rows(3_000, 40_000), mark(3)) == 2
    assert len(writer.refusals(-1)) == 1
    assert sizes(kafka, name) == [100, *[500] * 20, 3_000, 40_000]
    writer.close()


def test_a_topic_that_compacts_takes_no_row_without_a_key(
    kafka: Kafka, topics: Topics, system: KafkaSystem
) -> None:
    name = topics.create("out", PARTITIONS)
    writer = system.destination(target(name))
    writer.open(JOB, 1)
    mixed = pa.concat_tables([rows(10, 20), rows(30, 40, key=None)])
    assert writer.deliver(mixed, mark(1)) == 4
    changed(kafka, system, name, "cleanup.policy", "compact")
    assert writer.deliver(mixed, mark(2)) == 2
    assert writer.deliver(mixed, mark(2)) == 2
    changed(kafka, system, name, "cleanup.policy", "delete")
    assert writer.deliver(mixed, mark(3)) == 4
    assert sizes(kafka, name) == sorted([10, 20, 30, 40] * 2 + [10, 20])
    refused = writer.refusals(-1)
    assert [r.number for r in refused] == [mark(2).number] * 2
    assert all("cleanup.policy" in r.reason for r in refused)
    again = system.destination(target(name))
    again.open(JOB, 2)
    assert again.refusals(-1) == refused
    writer.close()
    again.close()


def test_what_was_refused_is_told_before_the_broker_shows_it(
    kafka: Kafka, topics: Topics, system: KafkaSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A broker answers a commit before readers see it; how much before, no test can ask of it.
    name = topics.create("out", PARTITIONS, {"max.message.bytes": "2000"})
    writer = system.destination(target(name))
    writer.open(JOB, 1)
    entries, before = writer._marks.entries, writer._marks.entries(settled=True)
    with monkeypatch.context() as late:
        late.setattr(writer._marks, "entries", lambda settled=False: before)
        assert writer.deliver(rows(100, 3_000, 4_000), mark(1)) == 1
        assert writer.deliver(rows(100, 3_000, 4_000), mark(1)) == 1
        assert writer.deliver(rows(5_000), mark(2)) == 0
        told = writer.refusals(-1)
        assert [r.number for r in told] == [mark(1).number] * 2 + [mark(2).number]
        assert writer.refusals(mark(1).number) == told[2:]
    until(lambda: len(entries()) >= len(before) + 3)
    assert writer.refusals(-1) == told
    writer.close()


def test_what_is_ingested_is_refused_in_words(
    kafka: Kafka, topics: Topics, system: KafkaSystem
) -> None:
    name = topics.create("in", 1)
    topic = system.topic(name, 1)
    topic.append_numbered(rows(10)["value"], producer="p", first_sequence=0)
    changed(kafka, system, name, "cleanup.policy", "compact")
    with pytest.raises(UsageError, match="no key.*compacts\n.*cleanup.policy=delete"):
        topic.append_numbered(rows(20)["value"], producer="p", first_sequence=1)
    changed(kafka, system, name, "cleanup.policy", "delete")
    topic.append_numbered(rows(20)["value"], producer="p", first_sequence=1)
    changed(kafka, system, name, "max.message.bytes", "2000")
    with pytest.raises(UsageError, match="larger than topic.*\n.*max.message.bytes="):
        topic.append_numbered(rows(3_000)["value"], producer="p", first_sequence=2)
    topic.append_numbered(rows(40)["value"], producer="p", first_sequence=2)
    assert sizes(kafka, name) == [10, 20, 40]


@pytest.mark.parametrize(
    ("settings", "given", "words"),
    [
        ({"max.message.bytes": "2000"}, rows(3_000), "max.message.bytes"),
        ({"max.message.bytes": "2000"}, rows(*range(500, 520)), "max.message.bytes"),
        ({"cleanup.policy": "compact"}, rows(10, 20, key=None), "cleanup.policy"),
    ],
)
def test_where_nobody_may_see_the_settings_the_way_on_is_said(
    kafka: Kafka,
    topics: Topics,
    system: KafkaSystem,
    monkeypatch: pytest.MonkeyPatch,
    settings: dict[str, str],
    given: pa.Table,
    words: str,
) -> None:
    name, settings_of = topics.create("out", PARTITIONS, settings), system._cluster.settings

    def told(of: str) -> dict[str, str]:
        if of == name:
            raise TopicRefused("Topic authorization failed")
        return settings_of(of)

    monkeypatch.setattr(system._cluster, "settings", told)
    writer = system.destination(target(name))
    writer.open(JOB, 1)
    begun = time.monotonic()
    for _ in range(2):
        with pytest.raises(TopicRefused, match=f"{words}.*DESCRIBE_CONFIGS") as caught:
            writer.deliver(given, mark(1))
        assert not caught.value.retry
    topic = system.topic(name, PARTITIONS)
    with pytest.raises(TopicRefused, match="DESCRIBE_CONFIGS"):
        topic.append_numbered(given["value"], given["key"], producer="p", first_sequence=0)
    # Nothing is open that others would have to wait for.
    assert committed(kafka, name) == [] and time.monotonic() - begun < SECONDS_MAX
    monkeypatch.undo()
    assert writer.open(JOB, 2) is None
    refused = words == "cleanup.policy" or len(given) == 1
    assert writer.deliver(given, mark(1)) == (0 if refused else len(given))
    writer.close()
