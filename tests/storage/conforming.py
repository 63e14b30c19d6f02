"""The embedded destinations as the conformance suite needs them, also in a process of their own.

`python -m tests.storage.conforming KIND PLACE INCARNATION EPOCH` opens and delivers one epoch; KIND
is `topic` or `lake` (PLACE is a directory), `postgres` (a URL) or `kafka` (`BROKERS/TOPIC`). With
`log` (a directory) or `kafka-log` it appends, and the numbers are the first row's and the count.
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from headrace.storage.contract import Destination, Log, Target
from headrace.storage.kafka.system import KafkaSystem
from headrace.storage.lake.lake import DeltaLake
from headrace.storage.outbound.topic_writer import TopicWriter
from headrace.storage.postgres.system import PostgresSystem
from headrace.storage.topics.log import LocalTopic
from headrace.testing.asked import JOB, mark
from headrace.testing.log_conformance import append
from headrace.testing.table_conformance import TableConformance, changes
from tests.storage.lake.lakes import EVENT, event

PARTITIONS = 2


def destination(kind: str, place: str, job: str = JOB) -> Destination:
    if kind == "topic":
        return TopicWriter(LocalTopic.ensure(Path(place), "out", PARTITIONS), "out")
    if kind == "lake":
        return DeltaLake(Path(place) / "lake", EVENT, ("event_date",))
    if kind == "postgres":
        return PostgresSystem(place).destination(TableConformance.WHOLE)
    brokers, topic = place.split("/")
    return KafkaSystem(f"kafka://{brokers}").destination(kafka_target(topic, job))


def kafka_target(topic: str, job: str = JOB) -> Target:
    columns = (("key", "BLOB"), ("value", "BLOB"))
    return Target(job, topic, "topic", columns, partitions=PARTITIONS)


def records(numbers: Sequence[int]) -> pa.Table:
    """Now and then without key, or a delete; no two alike."""
    keys = [None if n % 7 == 0 else b"key_%d" % n for n in numbers]
    values = [None if n % 7 == 3 else b'{"n":%d}' % n for n in numbers]
    return pa.table({"key": pa.array(keys, pa.binary()), "value": pa.array(values, pa.binary())})


def rows(kind: str, numbers: Sequence[int]) -> pa.Table:
    if kind == "lake":
        return pa.Table.from_pylist([event(n) for n in numbers], schema=EVENT)
    if kind == "postgres":
        return changes([("u", f"k{n}", n, n) for n in numbers])
    return records(numbers)


def command(kind: str, place: str, incarnation: int, epoch: int) -> list[str]:
    return [sys.executable, "-m", __name__, kind, place, str(incarnation), str(epoch)]


@contextmanager
def full_disk() -> Iterator[None]:
    """No file of this process grows in the block."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def log(kind: str, place: str) -> Log:
    if kind == "log":
        return LocalTopic.open(Path(place), "in")
    brokers, topic = place.split("/")
    return KafkaSystem(f"kafka://{brokers}").topic(topic, PARTITIONS)


def main(kind: str, place: str, incarnation: str, epoch: str) -> None:
    if kind.endswith("log"):
        append(log(kind, place), int(incarnation), int(epoch))
        return
    handle = destination(kind, place)
    handle.open(JOB, int(incarnation))
    first = int(epoch) * 5
    handle.deliver(rows(kind, range(first, first + 5)), mark(int(epoch)))
    handle.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
