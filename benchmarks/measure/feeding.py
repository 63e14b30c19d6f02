"""Appends events to the log as they are asked for: each line of standard input asks for a batch.

Answers each with how many it has appended in all: the events of `headrace simulate`.
"""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.inputs import RATE, SEED
from benchmarks.sizes import TOPIC
from headrace.apps.activity_simulation.generator import ActivityGenerator
from headrace.ops.ingest.generator import Partitions, Simulation
from headrace.storage.layout import DataDirectory
from headrace.storage.topics.log import LocalTopic

_START_US = 1_767_225_600_000_000


def main(data: str, told: str) -> None:
    topic = LocalTopic.open(DataDirectory(Path(data)).topics, TOPIC)
    simulation = Simulation(count=int(told), rate=RATE, seed=SEED, start_us=_START_US)
    appended = 0
    generator = ActivityGenerator(simulation, Partitions(topic.partitions))
    for batch, _ in zip(generator.batches(), sys.stdin, strict=False):
        topic.append(batch.values, batch.keys)
        appended += len(batch)
        print(appended, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
