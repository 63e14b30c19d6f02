"""What a topic and a destination must do, whatever system plays them. Engines know only this.

A topic is read as Arrow tables of records with the columns of `RECORDS`. A destination takes
deliveries, each numbered by (generation, epoch), in order; it keeps a `Mark` beside the rows, in
the same atomic step, so that after any crash it can say what it has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import pyarrow as pa

RECORDS = pa.schema(
    [
        pa.field("partition", pa.int32(), nullable=False),
        pa.field("offset", pa.int64(), nullable=False),
        pa.field("key", pa.binary()),
        pa.field("value", pa.binary()),
        pa.field("arrival_time", pa.timestamp("us"), nullable=False),
    ]
)


@dataclass(frozen=True)
class Mark:
    """What a destination has of a job: everything up to (generation, epoch), inclusive.

    `offsets` are the end offsets by topic (the next offset to read, by partition),
    `watermarks_us` the sources' watermarks after the epoch (None: no watermark yet).
    """

    job: str
    generation: int
    epoch: int
    offsets: Mapping[str, Sequence[int]] = field(default_factory=dict)
    watermarks_us: Mapping[str, int | None] = field(default_factory=dict)

    @property
    def number(self) -> int:
        """(generation, epoch) as one integer that grows with both: generation * 2**40 + epoch."""
        return (self.generation << 40) | self.epoch


@dataclass(frozen=True)
class Fetched:
    """Records (columns as `RECORDS`), and the offsets behind them, by partition.

    `next_offsets` may lie beyond the last record: a log may have offsets without a record, where
    a transaction ended or was aborted.
    """

    records: pa.Table
    next_offsets: list[int]


class Topic(Protocol):
    """A partitioned log. `identity` changes when the topic is deleted and made again."""

    name: str
    identity: str
    partitions: int

    def begin_offsets(self) -> list[int]:
        """The first offset still there, by partition."""

    def end_offsets(self) -> list[int]:
        """The offset that the next record of each partition gets."""

    def fetch(
        self, start: Sequence[int], stop: Sequence[int] | None = None, *, records_max: int
    ) -> Fetched:
        """Records from `start` (inclusive) to `stop` (exclusive), about `records_max` of them.

        Within a partition in order of offset; none is left out between `start` and the offsets
        behind them, which are `start` when there is nothing now. The same range gives the same
        records in the same order, however it was cut. Raises TopicRefused when `start` is no
        longer there, Unreachable when the system does not answer.
        """

    def wait(self, offsets: Sequence[int], timeout_seconds: float) -> bool:
        """Blocks until a partition has a record at or after its offset; False on timeout."""


class Destination(Protocol):
    """Takes rows exactly once. One thread calls; `deliver` may block and may be retried.

    Call order: `open`, then `deliver` any number of times with growing marks, then `close`.
    `deliver` is atomic: after a crash the mark that `open` returns tells whether it happened.
    """

    def open(self, job: str, incarnation: int) -> Mark | None:
        """Connects, fences older incarnations, returns the last mark (None: nothing delivered)."""

    def deliver(self, rows: pa.Table, mark: Mark) -> int:
        """Lands `rows` and `mark` in one step and returns how many rows landed.

        Raises Unreachable when trying again may help, StateRefused when another incarnation or
        job has written since (fenced).
        """

    def close(self) -> None:
        """Frees what `open` took; never delivers anything."""
