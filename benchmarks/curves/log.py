"""Fills the topic of a point: events of as many keys and bytes as it says, nothing late."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.curves.app import TOPIC
from benchmarks.curves.points import Point
from headrace.storage.layout import DataDirectory
from headrace.storage.topics.log import LocalTopic

_START_US = 1_767_225_600_000_000
# 33,000 events a minute of their own time.
_STEP_US = 1_818
_BATCH_BYTES, _BATCH_EVENTS_MAX = 32_000_000, 200_000
_SPREAD = 7_368_787
# What a record has besides its note.
_BARE_BYTES = 84


def main(data: str, told: str) -> None:
    point = Point(**json.loads(told))
    topics = DataDirectory(Path(data)).topics
    topics.mkdir(parents=True, exist_ok=True)
    topic = LocalTopic.ensure(topics, TOPIC, point.partitions)
    size = min(_BATCH_EVENTS_MAX, max(1, _BATCH_BYTES // point.event_bytes))
    chance = np.random.default_rng(7)
    for first in range(0, point.events, size):
        count = min(size, point.events - first)
        topic.append(*_batch(point, first, count, chance))


def _batch(
    point: Point, first: int, count: int, chance: np.random.Generator
) -> tuple[pa.Array, pa.Array]:
    """Values and keys of the events from number `first` on."""
    number = np.arange(first, first + count)
    times = _START_US + number * _STEP_US
    if point.windows:
        times -= chance.integers(0, point.windows * 1_000_000, count)
    # Each key comes before any comes again, so that the last half of many keys changes all; a
    # prime spreads them, so that an epoch changes keys all over the state.
    keys = number * _SPREAD % point.keys
    who = pc.binary_join_element_wise(
        "user-", pc.utf8_lpad(pa.array(keys).cast("string"), 8, "0"), ""
    )
    written = pc.strftime(pa.array(times, pa.timestamp("us")), "%Y-%m-%dT%H:%M:%S")
    amount = pa.array(chance.integers(100, 1_000, count)).cast("string")
    note = "x" * max(1, point.event_bytes - _BARE_BYTES)
    values = pc.binary_join_element_wise(
        '{"at":"', written, 'Z","who":"', who, '","amount":', amount, f',"note":"{note}"}}', ""
    )
    return values.cast("binary"), who.cast("binary")


if __name__ == "__main__":
    main(*sys.argv[1:])
