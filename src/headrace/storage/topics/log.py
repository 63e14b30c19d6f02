"""The local topic: a partitioned log in a directory, shared by any number of processes.

Invariants: what is acknowledged is on disk; an append is whole or absent in all partitions at
once; offsets have no holes; a producer's number is added once; arrival times never go back.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from headrace.storage.contract import RECORDS, Fetched
from headrace.storage.topics.directory import About, locked, make, read_about
from headrace.storage.topics.disk import writing
from headrace.storage.topics.frame import seed_of
from headrace.storage.topics.head import FILE_NAME as HEAD
from headrace.storage.topics.head import Head, read_head
from headrace.storage.topics.producers import ProducerState
from headrace.storage.topics.readers import load_readers, store_reader
from headrace.storage.topics.reading import RECORDS_WITH_EXTRAS, Ints, offsets_at, read_range
from headrace.storage.topics.recovery import made_again, settle
from headrace.storage.topics.retention import Retained, remove_segments
from headrace.storage.topics.rows import Column, rows_of
from headrace.storage.topics.segments import Segments
from headrace.storage.topics.writer import (
    DEFAULT_LIMITS,
    Appended,
    Limits,
    Numbering,
    Writer,
    check_size,
)
from headrace.storage.ways import restore_or_reset
from headrace.values.errors import Busy, DiskRefused, TopicRefused, UsageError

# A look at the head costs some ten microseconds; the longer nothing comes, the fewer there are.
_POLL_SECONDS_MIN, _POLL_SECONDS_MAX, _POLL_GROWTH = 0.0005, 0.003, 1.2
_TRIES = 3
# Longer than an append mostly takes; a process that is stopped in one may keep the lock for ever.
LOCK_SECONDS = 0.25


def now_us() -> int:
    """Microseconds since the Unix epoch."""
    return time.time_ns() // 1000


class LocalTopic:
    """A topic in `directory`/`name`; implements storage.contract.Topic.

    Any number of threads and processes may use a topic at once. Make it with `create`, `open` or
    `ensure`. Every method raises TopicRefused when the topic was deleted or made again since, or
    is damaged; those that write raise DiskRefused when the disk refuses, and change nothing then.
    Set `read_soon` to false where large appends need not stay in the page cache.
    """

    read_soon = True
    arrival_fixed = True

    def __init__(self, directory: Path, about: About, limits: Limits, clock: Callable[[], int]):
        self.name = about.name
        self.identity = about.identity
        self.partitions = about.partitions
        self.path = directory / about.name
        self._about = about
        self._limits = limits
        self._clock = clock
        self._segments = Segments(self.path, about.partitions, seed_of(about.identity))
        self._writer = Writer(about, self._segments, limits, clock)
        self._writing = threading.Lock()

    @classmethod
    def create(
        cls,
        directory: Path,
        name: str,
        partitions: int,
        *,
        limits: Limits = DEFAULT_LIMITS,
        clock: Callable[[], int] = now_us,
    ) -> LocalTopic:
        """Makes a new topic; TopicRefused when there is one of that name."""
        if not make(directory, name, partitions, clock()):
            raise TopicRefused(
                f'There is a topic "{name}" in {directory} already',
                remedy="Open it, or choose another name.",
            )
        return cls.open(directory, name, limits=limits, clock=clock)

    @classmethod
    def open(
        cls,
        directory: Path,
        name: str,
        *,
        limits: Limits = DEFAULT_LIMITS,
        clock: Callable[[], int] = now_us,
    ) -> LocalTopic:
        """Opens a topic, mending what a crash left; TopicRefused when there is none."""
        topic = cls(directory, read_about(directory, name), limits, clock)
        # While another process writes, it has mended already; where nothing may be written,
        # what is published can be read all the same.
        with suppress(BlockingIOError, DiskRefused), topic._locked(0.0):
            settle(topic._about, topic._segments)
        return topic

    @classmethod
    def ensure(
        cls,
        directory: Path,
        name: str,
        partitions: int,
        *,
        limits: Limits = DEFAULT_LIMITS,
        clock: Callable[[], int] = now_us,
    ) -> LocalTopic:
        """Opens the topic or makes it; TopicRefused when it has another number of partitions."""
        make(directory, name, partitions, clock())
        topic = cls.open(directory, name, limits=limits, clock=clock)
        if topic.partitions != partitions:
            raise TopicRefused(
                f'Topic "{name}" has {topic.partitions} partitions, not {partitions}: '
                "keys would move to other partitions",
                remedy=f"Declare {topic.partitions} partitions, or use another topic.",
            )
        return topic

    def append(
        self,
        values: Column,
        keys: Column | None = None,
        *,
        producer: str | None = None,
        sequence: int | None = None,
        partition: npt.NDArray[np.integer] | None = None,
        extras: Mapping[str, Column] | None = None,
        note: Mapping[str, Any] | None = None,
    ) -> Appended:
        """Appends `values` (binary, null: a delete) in one durable step, as one delivery.

        `sequence` numbers the whole append: one that is not above the producer's last adds
        nothing (`duplicate`), so a delivery may be repeated. An append without rows is kept too,
        for its number and `note` (a small JSON object, given back by `producer`).

        A row goes to `partition`, else by murmur2 of its key, else row i to
        (sequence + i) % partitions, without a producer to (rows in the topic + i) % partitions.
        `extras` are the columns `timestamp` (timestamp[us]) and `headers`
        (list<struct<key: string, value: binary>>).
        Raises UsageError when the columns do not fit, or are larger than the limit in all.
        """
        if (producer is None) != (sequence is None) or (producer is None and note is not None):
            raise UsageError("An append names both a producer and a sequence, or neither nor note")
        rows = rows_of(values, keys, partition, extras, partitions=self.partitions)
        check_size(rows, self._limits)
        numbering = None
        if producer is not None and sequence is not None:
            numbering = Numbering(producer, sequence, False, note)
        with self._locked():
            return self._writer.append(rows, numbering, read_soon=self.read_soon)

    def append_numbered(
        self,
        values: Column,
        keys: Column | None = None,
        *,
        producer: str,
        first_sequence: int,
        partition: npt.NDArray[np.integer] | None = None,
        extras: Mapping[str, Column] | None = None,
        note: Mapping[str, Any] | None = None,
    ) -> Appended:
        """Like `append`, but the producer numbers its rows: row i is `first_sequence` + i.

        Rows that are not above the producer's last number are there already and are `skipped`,
        so an input may be cut into batches anew. A keyless row goes to (its number) % partitions:
        the same input gives the same log, however it is cut. Without rows only the note is kept,
        provided that `first_sequence` is above the last number.
        """
        rows = rows_of(values, keys, partition, extras, partitions=self.partitions)
        check_size(rows, self._limits)
        with self._locked():
            return self._writer.append(rows, Numbering(producer, first_sequence, True, note))

    def begin_offsets(self) -> list[int]:
        """The first offset still there, by partition."""
        return list(self._head().begin)

    def end_offsets(self) -> list[int]:
        """The offset that the next record of each partition gets."""
        return list(self._head().end)

    def read(
        self,
        start: Sequence[int],
        stop: Sequence[int] | None = None,
        *,
        records_max: int,
        extras: bool = False,
    ) -> pa.Table:
        """Records from `start` to `stop` (exclusive; None: the end), about `records_max` of them.

        Large records are fewer (values/weights.py). Columns as storage.contract.RECORDS, with
        `extras` also `timestamp` and `headers`. Order is that of the appends, inside one by
        partition and offset. Large frames are not copied.
        TopicRefused when `start` lies before the first or behind the last offset there.
        """
        if len(start) != self.partitions or records_max < 1:
            raise UsageError(
                f"A read of this topic takes {self.partitions} offsets and at least one record, "
                f"not {len(start)} and {records_max}"
            )
        schema = RECORDS_WITH_EXTRAS if extras else RECORDS
        low = np.array(start, np.int64)
        missing = None
        for _ in range(_TRIES):
            with self._seen() as head:
                self._check_start(low, head)
                high = np.array(head.end, np.int64)
                if stop is not None:
                    high = np.minimum(high, np.array(stop, np.int64))
                self._segments.forget_before(head.first)
                try:
                    return read_range(self._segments, head, (low, high), records_max, schema)
                except FileNotFoundError as error:
                    # Retention may have taken a segment since the look at the head.
                    missing = error
        raise TopicRefused(
            f"{missing.filename if missing else self.path} is missing",
            remedy="Restore the topic's directory from a backup.",
        ) from missing

    def fetch(
        self, start: Sequence[int], stop: Sequence[int] | None = None, *, records_max: int
    ) -> Fetched:
        """As `read`, with the offsets behind what was read."""
        records = self.read(start, stop, records_max=records_max)
        counts = np.bincount(records.column("partition").to_numpy(), minlength=self.partitions)
        return Fetched(records, (np.array(start, np.int64) + counts).tolist())

    def grown(self) -> None:
        """None: a local topic has the partitions with which it was made."""

    def grow(self) -> None:
        """Nothing to take in."""

    def wait(self, offsets: Sequence[int], timeout_seconds: float) -> bool:
        """Blocks until a partition has a record at or after its offset; False on timeout."""
        deadline, pause = time.monotonic() + timeout_seconds, _POLL_SECONDS_MIN
        while True:
            ends = self._head().end
            if any(end > offset for end, offset in zip(ends, offsets, strict=True)):
                return True
            self._check_end(offsets, ends)
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            time.sleep(min(pause, left))
            pause = min(pause * _POLL_GROWTH, _POLL_SECONDS_MAX)

    def offset_at(self, time_us: int) -> list[int]:
        """By partition the first offset of what arrived at `time_us` or later, else the end."""
        with self._seen() as head:
            found: list[int] = offsets_at(self._segments, head, time_us).tolist()
            return found

    def producer(self, producer: str) -> ProducerState | None:
        """The last append of `producer`; None if it has appended nothing."""
        return self.producers().get(producer)

    def producers(self) -> dict[str, ProducerState]:
        """The last append of every producer."""
        with self._seen() as head:
            return dict(self._writer.producers(head).states)

    def register_reader(self, reader: str, offsets: Sequence[int]) -> None:
        """Notes durably that `reader` still needs what lies at or after `offsets`.

        TopicRefused when some of that is gone already, Busy where another process keeps the topic
        locked. Meant for every few seconds, not for every epoch.
        """
        if len(offsets) != self.partitions:
            raise UsageError(f"A reader here has {self.partitions} offsets, not {len(offsets)}")
        with self._locked_soon(LOCK_SECONDS):
            self._check_start(np.array(offsets, np.int64), settle(self._about, self._segments))
            store_reader(self.path, reader, offsets)

    def close(self) -> None:
        """Nothing to free: a segment stays mapped as long as rows of it are in use."""

    def readers(self) -> dict[str, list[int]]:
        """The registered readers and the next offsets of each."""
        self._head()
        return load_readers(self.path)

    def forget_reader(self, reader: str) -> bool:
        """Lets retention pass `reader`; False if there is none of that name."""
        with self._locked():
            settle(self._about, self._segments)
            return store_reader(self.path, reader, None)

    def retain(
        self,
        age_us: int | None = None,
        bytes_max: int | None = None,
        now_us: int | None = None,
        patience_seconds: float = math.inf,
    ) -> Retained:
        """Removes whole old segments: older than `age_us`, and the oldest above `bytes_max`.

        Never removes what a registered reader has not taken. The segment that is written to
        stays, unless all of it is older than `age_us`. Busy where another process keeps the topic
        locked for so long.
        """
        with self._locked_soon(patience_seconds):
            head = settle(self._about, self._segments)
            now_us = self._clock() if now_us is None else now_us
            before_us = None if age_us is None else now_us - age_us
            with self._segments.lock:
                idle = before_us is not None and head.arrival_us < before_us
                if idle and self._segments.active(head).index.count > 1:
                    head = self._writer.roll(head)
                readers = load_readers(self.path)
                head, report = remove_segments(self._segments, head, before_us, bytes_max, readers)
                self._segments.forget_before(head.first)
            return report

    @contextmanager
    def _locked(self, patience_seconds: float = math.inf) -> Iterator[None]:
        with self._writing, writing(self.path), locked(self.path, patience_seconds):
            yield

    @contextmanager
    def _locked_soon(self, patience_seconds: float) -> Iterator[None]:
        try:
            with self._locked(patience_seconds):
                yield
        except BlockingIOError:
            raise Busy(
                f'Another process keeps topic "{self.name}" locked',
                remedy="Try again. If that process was stopped (Ctrl-Z), let it go on: fg",
            ) from None

    def _head(self) -> Head:
        head = read_head(self.path, self.partitions)
        if head is None:
            with self._locked():
                head = settle(self._about, self._segments)
        self._check_identity(head)
        return head

    @contextmanager
    def _seen(self) -> Iterator[Head]:
        """The head, with the segments locked for this thread.

        The head is read inside the lock, so that no index reaches past it; a broken one is mended
        before, because a writer takes these locks the other way round.
        """
        self._head()
        with self._segments.lock:
            head = read_head(self.path, self.partitions)
            if head is None:
                raise TopicRefused(
                    f"{self.path / HEAD} is damaged, or the topic is being deleted",
                    remedy="Try again; the next writer mends it.",
                )
            self._check_identity(head)
            yield head

    def _check_identity(self, head: Head) -> None:
        if head.identity != self.identity:
            raise made_again(self._about)

    def _check_start(self, start: Ints, head: Head) -> None:
        behind = np.flatnonzero(start < np.array(head.begin))
        if len(behind):
            at = int(behind[0])
            raise TopicRefused(
                f'Topic "{self.name}" no longer has offset {start[at]} of partition {at}: '
                f"retention has removed everything before {head.begin[at]}",
                remedy="Restore the topic's directory from a backup, or begin at a later offset.",
            )
        self._check_end(start, head.end)

    def _check_end(self, start: Ints | Sequence[int], ends: Sequence[int]) -> None:
        for partition, (at, end) in enumerate(zip(start, ends, strict=True)):
            if at > end:
                raise TopicRefused(
                    f'Topic "{self.name}" ends at offset {end} of partition {partition}, '
                    f"but offset {at} was read before: its files are older than its reader",
                    remedy=restore_or_reset(),
                )
