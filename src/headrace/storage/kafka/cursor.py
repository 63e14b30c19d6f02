"""A consumer with a position: what it has given, what it holds, and how far it knows the log.

Invariant: of every partition, all committed records from `at` to `known` are in the blocks held,
in order, and nothing else is.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from headrace.storage.contract import LATEST_US, RECORDS, Fetched
from headrace.storage.kafka.cluster import Cluster
from headrace.storage.kafka.library import library
from headrace.storage.kafka.problems import (
    is_end,
    is_missing,
    is_of_group,
    is_out_of_range,
    meaning,
)
from headrace.values.weights import read_bytes_max

if TYPE_CHECKING:
    from confluent_kafka import Consumer, KafkaError, Message

# Above this the objects of the client are made faster than they are turned into columns.
_MESSAGES_MAX = 10_000
# A partition that was asked for less than it gives waits when this much of it lies here.
_AHEAD_ROWS_MAX = 200_000
_CREATED = 1
_APPENDED = 2


class OffsetGone(Exception):
    """The log does not have the offset that is to be read next from `partition`."""

    def __init__(self, partition: int) -> None:
        super().__init__(partition)
        self.partition = partition


class TopicGone(Exception):
    """The topic is not there any more."""


class Cursor:
    """Reads the partitions of `topic` from `start` on; for one thread at a time."""

    def __init__(self, cluster: Cluster, topic: str, start: Sequence[int]) -> None:
        self._cluster = cluster
        self._topic = topic
        # The group is never joined: a consumer must have a name all the same.
        self._consumer: Consumer = cluster.reader({"group.id": "headrace-reader"})
        self._blocks: list[pa.Table] = []
        self._paused: set[int] = set()
        self.at: list[int] = []
        self.known: list[int] = []
        self.used = time.monotonic()
        self.go_to(start)

    def go_to(self, start: Sequence[int]) -> None:
        """Begins anew at `start`."""
        place = library().TopicPartition
        self._consumer.unassign()
        self._consumer.assign([place(self._topic, p, at) for p, at in enumerate(start)])
        self._blocks, self._paused = [], set()
        self.at, self.known = list(start), list(start)

    def close(self) -> None:
        """Ends the consumer."""
        self._consumer.close()

    @property
    def rows(self) -> int:
        """How many records are held."""
        return sum(block.num_rows for block in self._blocks)

    def fill(self, timeout_seconds: float) -> bool:
        """Waits for more of the log; whether anything came.

        Raises OffsetGone, TopicGone, and errors of the cluster.
        """
        self.used = time.monotonic()
        with self._cluster.answered(f'reading topic "{self._topic}"'):
            # Taking many waits until there are so many: the first is waited for alone.
            first = self._consumer.poll(timeout_seconds)
            if first is None:
                return False
            with _not_collecting():
                self._receive([first, *self._consumer.consume(_MESSAGES_MAX - 1, 0)])
        return True

    def holds(self, stop: Sequence[int], count: int) -> bool:
        """Whether `count` records before `stop` are held, or as many bytes as these may have."""
        bytes_max = read_bytes_max(count)
        if self.rows < count and sum(block.nbytes for block in self._blocks) < bytes_max:
            return False
        ends, due, due_bytes = np.array(stop, np.int64), 0, 0
        for block in self._blocks:
            partition, offset = _places(block)
            found = int((offset < ends[partition]).sum())
            due += found
            due_bytes += block.nbytes * found // max(block.num_rows, 1)
        return due >= count or due_bytes >= bytes_max

    def known_before(self, stop: Sequence[int]) -> int:
        """How much of what lies before `stop` is known: grows with each part that was awaited."""
        return sum(min(known, end) for known, end in zip(self.known, stop, strict=True))

    def reaches(self, stop: Sequence[int]) -> bool:
        """Whether everything before `stop` is known."""
        return all(known >= end for known, end in zip(self.known, stop, strict=True))

    def take(self, stop: Sequence[int]) -> Fetched:
        """What is held before `stop`, by partition and offset; it is given once."""
        ends = np.array(stop, np.int64)
        table = pa.concat_tables(self._blocks) if self._blocks else RECORDS.empty_table()
        partition, offset = _places(table)
        due = offset < ends[partition]
        kept: list[pa.Table] = []
        if not due.all():
            kept = [table.filter(pa.array(~due))]
            table = table.filter(pa.array(due))
            partition, offset = partition[due], offset[due]
        self._blocks = kept
        self.at = [max(a, min(k, s)) for a, k, s in zip(self.at, self.known, stop, strict=True)]
        self._resume()
        order = np.lexsort((offset, partition))
        if (np.diff(order) != 1).any():
            table = table.take(pa.array(order))
        return Fetched(table.combine_chunks(), list(self.at))

    def hold_back(self, stop: Sequence[int]) -> None:
        """Lets partitions that are known up to `stop` wait while too much lies here."""
        if self.rows <= _AHEAD_ROWS_MAX:
            return
        done = [p for p, end in enumerate(stop) if self.known[p] >= end and p not in self._paused]
        place = library().TopicPartition
        if done:
            self._consumer.pause([place(self._topic, p) for p in done])
            self._paused.update(done)

    def _resume(self) -> None:
        if self._paused:
            place = library().TopicPartition
            self._consumer.resume([place(self._topic, p) for p in sorted(self._paused)])
            self._paused = set()

    def _receive(self, messages: list[Message]) -> None:
        """Holds the records, notes the ends of partitions, raises what is wrong."""
        if not any(map(library().Message.error, messages)):
            self._hold(messages)
            return
        records = []
        ends: list[tuple[int, int]] = []
        for message in messages:
            error = message.error()
            if error is None:
                records.append(message)
            elif is_end(error):
                ends.append((message.partition() or 0, message.offset() or 0))
            else:
                self._raise(error, message)
        if records:
            self._hold(records)
        for partition, offset in ends:
            self.known[partition] = max(self.known[partition], offset)

    def _raise(self, error: KafkaError, message: Message) -> None:
        if is_of_group(error):
            return
        if is_out_of_range(error):
            raise OffsetGone(message.partition() or 0)
        if is_missing(error):
            raise TopicGone
        doing = f'Kafka at {self._cluster.address.shown}: reading topic "{self._topic}"'
        raise meaning(error, doing, self._cluster.words(error))

    def _hold(self, messages: list[Message]) -> None:
        kind = library().Message
        count = len(messages)
        partition = np.fromiter(map(kind.partition, messages), np.int32, count)
        offset = np.fromiter(map(kind.offset, messages), np.int64, count)
        columns = [
            pa.array(partition),
            pa.array(offset),
            pa.array(list(map(kind.key, messages)), pa.binary()),
            pa.array(list(map(kind.value, messages)), pa.binary()),
            pa.array(_stamps_us(messages)).cast(pa.timestamp("us")),
        ]
        self._blocks.append(pa.table(columns, schema=RECORDS))
        for p in np.unique(partition).tolist():
            # Offsets grow within a partition: the last one counts.
            self.known[p] = int(offset[partition == p][-1]) + 1


def _stamps_us(messages: list[Message]) -> npt.NDArray[np.int64]:
    """The records' own timestamps, LATEST_US where there is none: contract.Topic says why."""
    stamps = chain.from_iterable(map(library().Message.timestamp, messages))
    kinds, times_ms = np.fromiter(stamps, np.int64, 2 * len(messages)).reshape(-1, 2).T
    times = np.minimum(times_ms, LATEST_US // 1000) * 1000
    return np.where((kinds == _CREATED) | (kinds == _APPENDED), times, LATEST_US)


def _places(table: pa.Table) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    return table.column("partition").to_numpy(), table.column("offset").to_numpy()


@contextmanager
def _not_collecting() -> Iterator[None]:
    """Holds off Python's collector for a few milliseconds.

    Ten thousand messages that live that long would be looked through again and again: it takes a
    third of the time of reading, and never finds anything.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
