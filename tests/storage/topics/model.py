"""A topic as plain Python lists, and what tests of real ones share."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from headrace.storage.topics.log import LocalTopic
from headrace.storage.topics.writer import Limits
from tests.storage.topics.test_murmur2 import plain_partition

Record = tuple[int, int, bytes | None, bytes | None, int]
SMALL_SEGMENTS = Limits(segment_bytes=4096)


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self, now_us: int = 1_700_000_000_000_000) -> None:
        self.now_us = now_us

    def __call__(self) -> int:
        return self.now_us


@dataclass
class Model:
    """What a topic must hold: all records in the order of reading."""

    partitions: int
    frames: list[list[Record]] = field(default_factory=list)
    last: dict[str, int] = field(default_factory=dict)

    def records(self) -> list[Record]:
        return [record for frame in self.frames for record in frame]

    def ends(self) -> list[int]:
        return [
            sum(1 for record in self.records() if record[0] == partition)
            for partition in range(self.partitions)
        ]

    def append(
        self,
        rows: list[tuple[bytes | None, bytes | None]],
        arrival_us: int,
        numbers: Iterable[int],
    ) -> None:
        """One append of (key, value) rows; keyless ones go by their number."""
        ends = self.ends()
        grouped: list[list[Record]] = [[] for _ in range(self.partitions)]
        for (key, value), number in zip(rows, numbers, strict=False):
            place = plain_partition(key, self.partitions)
            if place < 0:
                place = number % self.partitions
            offset = ends[place] + len(grouped[place])
            grouped[place].append((place, offset, key, value, arrival_us))
        self.frames.append([record for group in grouped for record in group])

    def between(self, start: list[int], stop: list[int]) -> list[Record]:
        return [r for r in self.records() if start[r[0]] <= r[1] < stop[r[0]]]


def columns(rows: list[tuple[bytes | None, bytes | None]]) -> tuple[pa.Array, pa.Array]:
    """Values and keys of (key, value) rows."""
    return (
        pa.array([value for _, value in rows], pa.binary()),
        pa.array([key for key, _ in rows], pa.binary()),
    )


def listed(table: pa.Table) -> list[Record]:
    """A table of records as the model writes them."""
    return list(
        zip(
            table["partition"].to_pylist(),
            table["offset"].to_pylist(),
            table["key"].to_pylist(),
            table["value"].to_pylist(),
            table["arrival_time"].cast(pa.int64()).to_pylist(),
            strict=True,
        )
    )


def read_all(topic: LocalTopic, records_max: int = 1 << 30) -> list[Record]:
    """Everything in a topic, in as many reads as it takes."""
    offsets, found = topic.begin_offsets(), []
    while True:
        batch = listed(topic.read(offsets, records_max=records_max))
        if not batch:
            return found
        for partition, offset, *_ in batch:
            assert offset == offsets[partition], "a hole, or out of order"
            offsets[partition] += 1
        found += batch


def values_of(topic: LocalTopic) -> list[bytes | None]:
    """All values in the order of reading."""
    return [record[3] for record in read_all(topic)]


def segment_files(directory: Path) -> list[Path]:
    """A topic's segments, oldest first."""
    return sorted(directory.glob("*.segment"))
