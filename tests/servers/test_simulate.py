"""`headrace simulate` into Kafka: whether the outcome is that of the whole topic."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from headrace.apps.activity_simulation.generator import ActivityGenerator
from headrace.ops.ingest.generator import Simulation
from headrace.ops.ingest.simulate import SimulateReport, simulate
from headrace.storage.kafka.system import KafkaSystem
from headrace.storage.kafka.topic import KafkaTopic
from tests.servers.kafka import Kafka
from tests.servers.kafka_records import committed, produce, transact
from tests.servers.names import Topics

START_US = 1_741_000_000_000_000
COUNT = 60_000

CHILD = """
import sys
from headrace.apps.activity_simulation.generator import ActivityGenerator
from headrace.ops.ingest.generator import Simulation
from headrace.ops.ingest.simulate import simulate
from headrace.storage.kafka.system import KafkaSystem

topic = KafkaSystem(sys.argv[1]).topic(sys.argv[2], 3)
simulation = Simulation(int(sys.argv[3]), 1_000.0, 7, 1_741_000_000_000_000, 50, 1000)
simulate(topic, ActivityGenerator, simulation)
"""


@pytest.fixture
def system(kafka: Kafka) -> Iterator[KafkaSystem]:
    system = KafkaSystem(f"kafka://{kafka.bootstrap_servers}")
    yield system
    system.close()


@pytest.fixture
def topic(system: KafkaSystem, topics: Topics) -> KafkaTopic:
    return system.topic(topics.create("simulated", 3), 3)


def simulated(topic: KafkaTopic, seed: int = 7, count: int = COUNT) -> SimulateReport:
    return simulate(topic, ActivityGenerator, Simulation(count, 1_000.0, seed, START_US, 50, 1000))


def test_alone_until_another_seed_comes(kafka: Kafka, topic: KafkaTopic) -> None:
    first = simulated(topic)
    assert (first.added, first.alone) == (COUNT, True)
    assert sum(topic.end_offsets()) > COUNT, "the markers count, which is what this is about"
    again = simulated(topic)
    assert (again.added, again.already_there, again.alone) == (0, COUNT, True)
    other = simulated(topic, seed=8, count=10)
    assert (other.added, other.alone) == (10, False)
    assert not simulated(topic).alone
    assert len(committed(kafka, topic.name)) == COUNT + 10


@pytest.mark.parametrize("partition", [0, 2])
def test_after_the_records_of_somebody_else(
    kafka: Kafka, topic: KafkaTopic, partition: int
) -> None:
    produce(kafka, topic.name, [(None, b"{}")], partition=partition)
    assert not simulated(topic, count=100).alone


def test_records_that_were_aborted_are_nobodys(kafka: Kafka, topic: KafkaTopic) -> None:
    transact(kafka, topic.name, f"aborted-{topic.name}", [b"a", b"b"], commit=False)
    assert simulated(topic, count=100).alone
    transact(kafka, topic.name, f"aborted-{topic.name}", [b"a", b"b"], commit=False)
    assert simulated(topic, count=100).alone
    produce(kafka, topic.name, [(None, b"{}")], partition=1)
    assert not simulated(topic, count=100).alone


@pytest.mark.parametrize(
    "point", ["kafka.records.produced", "kafka.noted", "kafka.records.committed"]
)
def test_killed_and_run_again(kafka: Kafka, topic: KafkaTopic, point: str) -> None:
    """What was killed inside its transaction left records that nobody reads."""
    url = f"kafka://{kafka.bootstrap_servers}"
    count = 3 * COUNT
    child = subprocess.run(
        [sys.executable, "-c", CHILD, url, topic.name, str(count)],
        env={**os.environ, "HEADRACE_KILL_AT": f"{point}:2"},
        timeout=120,
        check=False,
    )
    assert child.returncode == -signal.SIGKILL
    rest = simulated(topic, count=count)
    assert rest.added + rest.already_there == count
    assert rest.alone
    assert len(committed(kafka, topic.name)) == count
    produce(kafka, topic.name, [(None, b"{}")])
    assert not simulated(topic, count=count).alone
