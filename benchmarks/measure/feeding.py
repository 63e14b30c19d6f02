"""Appends events to the log as they are asked for: each line of standard input asks for a batch.

Answers each with how many it has appended in all, and how many of them are page views: the events
of `headrace simulate`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from benchmarks.inputs import RATE, SEED
from benchmarks.sizes import TOPIC
from headrace.apps.activity_simulation.generator import ActivityGenerator
from headrace.apps.activity_simulation.story import PAGE_VIEW
from headrace.ops.ingest.generator import Partitions, Simulation
from headrace.storage.layout import DataDirectory
from headrace.storage.topics.log import LocalTopic

_START_US = 1_767_225_600_000_000


def main(data: str, told: str) -> None:
    topic = LocalTopic.open(DataDirectory(Path(data)).topics, TOPIC)
    simulation = Simulation(count=int(told), rate=RATE, seed=SEED, start_us=_START_US)
    appended, views = 0, 0
    generator = ActivityGenerator(simulation, Partitions(topic.partitions))
    for batch, _ in zip(generator.batches(), sys.stdin, strict=False):
        topic.append(batch.values, batch.keys)
        appended += len(batch)
        views += int(np.count_nonzero(batch.about.events.kind == PAGE_VIEW))
        print(appended, views, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
