"""What the tests of topics read: records by partition, at once or as soon as others see them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

from headrace.storage.contract import Topic
from headrace.testing.model import Row

T = TypeVar("T")
Record = tuple[bytes | None, bytes | None]
_SEEN_SECONDS_MAX = 10.0
_EPOCH = datetime(1970, 1, 1)


def soon(look: Callable[[], T], wanted: T) -> None:
    """Asserts that `look` gives `wanted`, now or once others see what was written."""
    deadline = time.monotonic() + _SEEN_SECONDS_MAX
    while (found := look()) != wanted and time.monotonic() < deadline:
        time.sleep(0.02)
    assert found == wanted


def records(
    topic: Topic, start: Sequence[int] | None = None, stop: Sequence[int] | None = None
) -> list[Row]:
    """The records from `start` to `stop`, else all, by partition, each as a dict by column."""
    end = topic.end_offsets() if stop is None else list(stop)
    begin = topic.begin_offsets() if start is None else start
    fetched = topic.fetch(begin, end, records_max=1 << 30)
    assert fetched.next_offsets == end
    rows: list[Row] = fetched.records.to_pylist()
    return sorted(rows, key=lambda row: row["partition"])  # keeps the order within one


def by_partition(rows: Sequence[Row], partitions: int) -> list[list[Row]]:
    """The records of each partition, in the order in which they were given."""
    return [[row for row in rows if row["partition"] == p] for p in range(partitions)]


def pairs(rows: Sequence[Row]) -> list[Record]:
    """Keys and values."""
    return [(row["key"], row["value"]) for row in rows]


def first_at(rows: Sequence[Row], end: Sequence[int], time_us: int) -> list[int]:
    """By partition the offset of the first of `rows` that arrived at `time_us` or later."""
    first = list(end)
    for row in rows:
        if arrival_us(row) >= time_us:
            first[row["partition"]] = min(first[row["partition"]], row["offset"])
    return first


def arrival_us(row: Row) -> int:
    """When a record arrived, in microseconds since 1970."""
    arrived: datetime = row["arrival_time"]
    return (arrived - _EPOCH) // timedelta(microseconds=1)
