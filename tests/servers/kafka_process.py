"""A process that delivers or appends to Kafka until it is done or killed.

`python -m tests.servers.kafka_process KIND BROKERS TOPIC NUMBER STEPS`: KIND is `deliver` (NUMBER
is the incarnation) or `append` (NUMBER is not used). It goes on after what is there, ten rows a
step, and prints what it found and each step that was acknowledged.
"""

from __future__ import annotations

import subprocess
import sys

import pyarrow as pa

from headrace.storage.contract import Mark, Target
from headrace.storage.kafka.system import KafkaSystem
from tests import children
from tests.storage.outbound.records import records

JOB = "activity"
PARTITIONS = 2


def target(topic: str) -> Target:
    columns = (("key", "BLOB"), ("value", "BLOB"))
    return Target(JOB, topic, "topic", columns, partitions=PARTITIONS)


def mark(epoch: int, generation: int = 1) -> Mark:
    return Mark(JOB, generation, epoch, {"in": [epoch, 0]}, {"in": None})


def step(epoch: int) -> pa.Table:
    return records((epoch - 1) * 10, 10)


def deliver(system: KafkaSystem, topic: str, incarnation: int, steps: int) -> None:
    writer = system.destination(target(topic))
    last = writer.open(JOB, incarnation)
    print("mark", 0 if last is None else last.epoch, flush=True)
    for epoch in range(1 if last is None else last.epoch + 1, steps + 1):
        assert writer.deliver(step(epoch), mark(epoch)) == 10
        print("took", epoch, flush=True)
    writer.close()


def append(system: KafkaSystem, name: str, steps: int) -> None:
    topic = system.topic(name, PARTITIONS)
    state = topic.producer("file")
    print("mark", 0 if state is None else (state.note or {})["step"], flush=True)
    for number in range(1, steps + 1):
        rows = step(number)
        topic.append_numbered(
            rows.column("value"),
            rows.column("key"),
            producer="file",
            first_sequence=(number - 1) * 10,
            note={"step": number},
        )
        print("took", number, flush=True)


def main(kind: str, brokers: str, topic: str, number: str, steps: str) -> None:
    system = KafkaSystem(f"kafka://{brokers}", answer_seconds=20)
    if kind == "deliver":
        deliver(system, topic, int(number), int(steps))
    else:
        append(system, topic, int(steps))
    system.close()


def start(
    kind: str, brokers: str, topic: str, number: int, steps: int, kill_at: str = ""
) -> subprocess.Popen[str]:
    """Starts the process, that may be killed at a named point."""
    return children.start(__name__, kind, brokers, topic, number, steps, kill_at=kill_at)


if __name__ == "__main__":
    main(*sys.argv[1:])
