"""Generations of a topic inside the kernel: a partition of a later one is a partition of its own.

A topic that was made again begins its offsets anew. So in events `_partition` stands for both: the
partition's number, plus 16,384 for each generation that the job read before. Whatever the kernel
does by partition (watermarks, the memory of a dedupe, the order of rows, which rows are of one
record) keeps generations apart in the order in which they were read, at no cost for the first.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

PARTITIONS_MAX = 1 << 14
"""More partitions than this can a topic not have that is made again."""

GENERATIONS_MAX = 1 << 9
"""The place of a row is held in 63 bits: 9 for this, 14 for the partition, 40 for the offset."""


def kernel_partition(partition: int, number: int) -> int:
    """What stands for `partition` of the generation `number` (0: the first)."""
    return partition + number * PARTITIONS_MAX


def kernel_partitions(events: pa.Table, number: int) -> pa.Table:
    """Events with `_partition` as the kernel takes it."""
    if not number:
        return events
    moved = pc.add(events.column("_partition"), pa.scalar(number * PARTITIONS_MAX, pa.int32()))
    at = events.column_names.index("_partition")
    return events.set_column(at, events.schema.field(at), moved)


def topic_partitions(partitions: pa.ChunkedArray, number: int) -> pa.ChunkedArray:
    """The topic's own partitions again."""
    if not number:
        return partitions
    return pc.subtract(partitions, pa.scalar(number * PARTITIONS_MAX, pa.int32()))
