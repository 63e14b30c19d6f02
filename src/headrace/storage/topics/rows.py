"""The rows of an append before they have offsets: checked, placed in partitions, grouped by them.

A keyed row goes where Kafka's murmur2 puts its key. A keyless row goes to
(number + i) % partitions, i being its position in the append: one rule for every numbering.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from headrace.storage.chunks import one_array
from headrace.storage.topics.frame import PLAIN
from headrace.storage.topics.murmur2 import partitions_of
from headrace.values.errors import UsageError, did_you_mean

EXTRAS = pa.schema(
    [
        pa.field("timestamp", pa.timestamp("us")),
        pa.field("headers", pa.list_(pa.struct([("key", pa.string()), ("value", pa.binary())]))),
    ]
)
Column: TypeAlias = pa.Array | pa.ChunkedArray
# Stretches of one partition that are this long on average are moved as wholes.
_RUN_ROWS_MIN = 64


@dataclass(frozen=True)
class Rows:
    """`table` has `key`, `value` and the given extras; `partition` is -1 for keyless rows."""

    table: pa.Table
    partition: npt.NDArray[np.int32]

    def skip(self, count: int) -> Rows:
        """The rows without the first `count`."""
        return Rows(self.table.slice(count), self.partition[count:])

    def grouped(self, number: int, partitions: int) -> tuple[pa.Table, npt.NDArray[np.int64]]:
        """The rows in order of partition, each in its given order, and their counts.

        Long stretches of one partition are not copied: the table has many chunks then. `number` is
        what the first row's keyless rule counts from.
        """
        partition = self.partition
        keyless = np.flatnonzero(partition < 0)
        if len(keyless):
            partition = partition.copy()
            partition[keyless] = (number % partitions + keyless) % partitions
        counts = np.bincount(partition, minlength=partitions).astype(np.int64)
        changes = np.flatnonzero(partition[1:] != partition[:-1]) + 1
        if len(changes) < len(partition) // _RUN_ROWS_MIN:
            return _by_runs(self.table, partition, changes), counts
        # Small integers are sorted by radix, several times faster than by comparison.
        small = np.uint16 if partitions <= 1 << 16 else np.int32
        order = np.argsort(partition.astype(small), kind="stable")
        return self.table.take(pa.array(order)), counts


def rows_of(
    values: Column,
    keys: Column | None,
    partition: npt.NDArray[np.integer] | None,
    extras: Mapping[str, Column] | None,
    *,
    partitions: int,
) -> Rows:
    """Checks the columns of an append; UsageError when they do not fit one another."""
    count = len(values)
    value = _fitting("values", values, pa.binary(), count)
    key = pa.nulls(count, pa.binary())
    if keys is not None:
        key = one_array(_fitting("keys", keys, pa.binary(), count))
    columns, fields = [key, value], list(PLAIN)
    for name, column in (extras or {}).items():
        if name not in EXTRAS.names:
            raise UsageError(f"A record has no column {name!r}. {did_you_mean(name, EXTRAS.names)}")
        columns.append(_fitting(name, column, EXTRAS.field(name).type, count))
        fields.append(EXTRAS.field(name))
    if partition is None:
        places = np.full(count, -1, np.int32) if keys is None else partitions_of(key, partitions)
    else:
        places = _places(partition, count, partitions)
    return Rows(pa.table(columns, schema=pa.schema(fields)), places)


def _places(
    partition: npt.NDArray[np.integer], count: int, partitions: int
) -> npt.NDArray[np.int32]:
    if len(partition) != count:
        raise UsageError(f"{len(partition)} partitions were given for {count} values")
    if count and (partition.min() < 0 or partition.max() >= partitions):
        raise UsageError(
            f"Partitions are numbered 0 to {partitions - 1} here, but {partition.min()} to "
            f"{partition.max()} were given"
        )
    return partition.astype(np.int32)


def _by_runs(
    table: pa.Table, partition: npt.NDArray[np.int32], changes: npt.NDArray[np.int64]
) -> pa.Table:
    """`table` by partition, stretch by stretch; `changes` are where the partition changes."""
    if (partition[changes] < partition[changes - 1]).any():
        bounds = [0, *changes.tolist(), len(partition)]
        starts = np.array(bounds[:-1], np.int64)
        order = np.argsort(partition[starts], kind="stable").tolist()
        table = pa.concat_tables([table.slice(bounds[i], bounds[i + 1] - bounds[i]) for i in order])
    return table


def one_batch(table: pa.Table) -> pa.RecordBatch:
    """`table` as one batch; copied where it has several chunks."""
    return pa.record_batch([one_array(c) for c in table.columns], schema=table.schema)


def _fitting(what: str, column: Column, type_: pa.DataType, count: int) -> Column:
    if len(column) != count:
        raise UsageError(f"{len(column)} {what} were given for {count} values")
    if column.type == type_:
        return column
    try:
        return pc.cast(column, type_)
    except pa.ArrowException as error:
        raise UsageError(f"{what} must be {type_}, not {column.type}") from error
