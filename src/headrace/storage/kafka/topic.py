"""A topic in Kafka, read by offset.

Invariants: what is read is of the generation that `identity` names; the same range gives the same
records in the same order; nothing between two offsets is left out but what was never committed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import wait as wait_for
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
import numpy.typing as npt

from headrace.storage.contract import Fetched
from headrace.storage.kafka.appender import Appender
from headrace.storage.kafka.cluster import About, Cluster, Which
from headrace.storage.kafka.cursor import Cursor, OffsetGone, TopicGone
from headrace.storage.kafka.problems import Use, made_again, missing, out_of_range
from headrace.storage.topics.producers import ProducerState
from headrace.storage.topics.rows import Column
from headrace.storage.topics.writer import Appended
from headrace.storage.ways import WHAT_ANSWERS
from headrace.values.errors import HeadraceError, TopicRefused, Unreachable, UsageError

# Ends as old as this are good enough: a job asks for them in every epoch.
_ENDS_SECONDS_MAX = 0.02
_LOOK_SECONDS = 1.0
_CURSORS_MAX = 2
_CURSOR_IDLE_SECONDS = 10.0
_POLL_SECONDS = 0.1
_NOTING_SECONDS = 0.5
_SETTLING_SECONDS_MAX = 5.0
_PAUSE_SECONDS = 0.01


class KafkaTopic:
    """A topic of `cluster`; implements storage.contract.Topic. Safe to use from any thread.

    Methods raise TopicRefused when the topic is missing, was made again, or lost what is asked
    for, and Unreachable when the cluster does not answer.
    """

    # Records bring their own timestamps along.
    arrival_fixed = False

    def __init__(
        self, cluster: Cluster, about: About, appender: Appender, use: Use = "source"
    ) -> None:
        """`use` chooses the words of errors."""
        self.name = about.name
        self.identity = about.identity
        self.partitions = about.partitions
        self._cluster = cluster
        self._appender = appender
        self._use = use
        self._there = about.partitions
        self._ends: tuple[float, list[int]] = (-1.0, [0] * about.partitions)
        self._looked = time.monotonic()
        self._cursors: list[Cursor] = []
        self._was_away = False
        self._reading = threading.RLock()
        self._noting: Future[Any] | None = None
        self._to_note: tuple[str, list[int]] | None = None

    def begin_offsets(self) -> list[int]:
        """The first offset still there, by partition."""
        return self._offsets("begin")

    def end_offsets(self) -> list[int]:
        """Where what is committed ends, by partition; at most 20 ms old."""
        asked, ends = self._ends
        now = time.monotonic()
        if asked < 0 or now - asked > _ENDS_SECONDS_MAX:
            before = ends
            ends = self._offsets("end")
            went_back = len(before) == len(ends) and any(
                e < b for e, b in zip(ends, before, strict=True)
            )
            if went_back or now - self._looked > _LOOK_SECONDS:
                self._look()
            self._ends = (now, ends)
        return list(ends)

    def settled_offsets(self) -> list[int]:
        """Where what was committed before this call ends, by partition.

        A commit is answered before its end is in all partitions, and readers see it later. The
        transactions of others that stay open are waited for, too, but not for long.
        """
        high, deadline = self._offsets("high"), time.monotonic() + _SETTLING_SECONDS_MAX
        while True:
            ends = self._offsets("end")
            settled = all(e >= h for e, h in zip(ends, high, strict=True))
            if settled or time.monotonic() > deadline:
                return ends
            time.sleep(_PAUSE_SECONDS)

    def offset_at(self, time_us: int) -> list[int]:
        """By partition the first offset of what has this timestamp or a later one, else the end."""
        found = self._offsets(-(-time_us // 1000))
        ends = self.end_offsets()
        return [e if f < 0 else min(f, e) for f, e in zip(found, ends, strict=True)]

    def fetch(
        self, start: Sequence[int], stop: Sequence[int] | None = None, *, records_max: int
    ) -> Fetched:
        """Records from `start` to `stop`, by partition and offset, about `records_max` of them.

        Without `stop` up to where the topic ends now. All of the range is awaited, unless there
        is more than `records_max` of it, or more bytes than so many records have
        (values/weights.py); Unreachable when nothing more of it comes in time.
        """
        if len(start) != self.partitions or records_max < 1:
            raise UsageError(
                f"A read of this topic takes {self.partitions} offsets and at least one record, "
                f"not {len(start)} and {records_max}"
            )
        if stop is None:
            stop = self.end_offsets()
        stop = [max(s, e) for s, e in zip(start, stop, strict=True)]
        with self._reading, self._noticing_outages():
            cursor = self._cursor(start)
            self._fill(cursor, stop, records_max)
            if cursor.rows:
                # Only what was received before this look is known to be of this generation.
                self._look()
            return cursor.take(stop)

    def wait(self, offsets: Sequence[int], timeout_seconds: float) -> bool:
        """Blocks until a partition has a record at or after its offset; False on timeout.

        What comes meanwhile is kept for the next fetch from `offsets`.
        """
        deadline = time.monotonic() + timeout_seconds
        with self._reading, self._noticing_outages():
            cursor = self._cursor(offsets)
            while not cursor.rows:
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                self._receive(cursor, min(left, _POLL_SECONDS))
            return True

    def grown(self) -> int | None:
        """How many partitions there are now, if they became more; at most a second old."""
        if time.monotonic() - self._looked > _LOOK_SECONDS:
            self._look()
        if self._there <= self.partitions:
            return None
        try:
            # The cluster names a new partition before its broker answers for it.
            self._cluster.offsets(self.name, self._there, "end")
        except HeadraceError:
            return None
        return self._there

    def grow(self) -> None:
        """Takes the new partitions in: from now on offsets are lists of the new length."""
        with self._reading:
            self._look()
            self.partitions = self._there
            self._ends = (-1.0, [0] * self.partitions)
            self._close_cursors()

    def register_reader(self, reader: str, offsets: Sequence[int]) -> None:
        """Shows how far `reader` is, as the consumer group `headrace-<reader>`."""
        self.commit(f"headrace-{reader}", offsets)

    def commit(self, group: str, offsets: Sequence[int]) -> None:
        """Shows `offsets` as what `group` has read, for Kafka's own tools; never waits or fails.

        While an earlier answer is awaited only the last of what comes is kept, for `close`.
        """
        self._to_note = (group, list(offsets))
        if self._noting is None or self._noting.done():
            self._note()

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
        """Appends rows numbered from `first_sequence`, as LocalTopic.append_numbered does.

        `base` of what is returned is the offset of the first row in each partition, -1 in one
        that got none; rows of others may lie between.
        """
        appended = self._appender.append(
            values,
            keys,
            producer=producer,
            first_sequence=first_sequence,
            partition=partition,
            extras=extras,
            note=note,
        )
        self._ends = (-1.0, self._ends[1])
        return appended

    def producer(self, producer: str) -> ProducerState | None:
        """The last append of `producer`; None if it has appended nothing."""
        return self.producers().get(producer)

    def producers(self) -> dict[str, ProducerState]:
        """The last append of every producer that appended by `append_numbered`."""
        return self._appender.producers()

    def close(self) -> None:
        """Ends the connections; used again, it makes them anew."""
        self._await_noted()
        with self._reading:
            self._close_cursors()
        self._appender.close()

    def _note(self) -> None:
        if self._to_note is not None:
            (group, offsets), self._to_note = self._to_note, None
            with suppress(HeadraceError):
                self._noting = self._cluster.note_committed(group, self.name, offsets)

    def _await_noted(self) -> None:
        """Gives what was noted last a moment to arrive."""
        for _ in range(2):
            if self._noting is not None:
                wait_for([self._noting], timeout=_NOTING_SECONDS)
            self._note()

    def _fill(self, cursor: Cursor, stop: Sequence[int], records_max: int) -> None:
        last = looked = time.monotonic()
        known = cursor.known_before(stop)
        while not cursor.reaches(stop) and not cursor.holds(stop, records_max):
            now = time.monotonic()
            if self._receive(cursor, _POLL_SECONDS):
                cursor.hold_back(stop)
            # What comes behind `stop`, of other partitions, says nothing of those awaited.
            if (more := cursor.known_before(stop)) > known:
                known, last, looked = more, now, now
            elif now - last > self._cluster.answer_seconds:
                # The client may have lost sight of a leader for good: the next read has a new one.
                self._drop(cursor)
                raise self._cluster.silent(f'reading topic "{self.name}"')
            elif now - looked > _LOOK_SECONDS:
                # A topic that is gone is silent too.
                self._look()
                looked = now

    def _receive(self, cursor: Cursor, timeout_seconds: float) -> bool:
        try:
            return cursor.fill(timeout_seconds)
        except OffsetGone as gone:
            self._drop(cursor)
            raise self._gone(gone.partition, cursor.known[gone.partition]) from gone
        except TopicGone as gone:
            self._drop(cursor)
            self._look()
            raise Unreachable(
                f'Topic "{self.name}" at {self._cluster.address.shown} has no leader just now',
                remedy=WHAT_ANSWERS,
            ) from gone
        except HeadraceError:
            self._drop(cursor)
            raise

    def _gone(self, partition: int, offset: int) -> TopicRefused:
        self._look()
        begin = self.begin_offsets()[partition]
        end = self._offsets("high")[partition]
        return out_of_range(self.name, partition, offset, begin, end, self._use)

    def _look(self) -> None:
        """Raises TopicRefused unless the topic is the one that was opened; counts partitions."""
        with self._noticing_outages():
            about = self._cluster.about(self.name)
        if about.identity != self.identity:
            raise made_again(self.name, self._cluster.address.shown, self._use)
        if about.partitions < self.partitions:
            raise missing(self.name, self._cluster.address.shown)
        self._there = about.partitions
        self._looked = time.monotonic()

    def _cursor(self, start: Sequence[int]) -> Cursor:
        """One that stands at `start`: the range that is read on, or another beside it."""
        if self._was_away:
            # The cluster may have come back with an older copy: what was received is read again.
            self._was_away = False
            self._close_cursors()
        for cursor in self._cursors:
            if cursor.at == list(start):
                return cursor
        now = time.monotonic()
        for cursor in [c for c in self._cursors if now - c.used > _CURSOR_IDLE_SECONDS]:
            self._drop(cursor)
        if len(self._cursors) < _CURSORS_MAX:
            self._cursors.append(Cursor(self._cluster, self.name, start))
            return self._cursors[-1]
        cursor = min(self._cursors, key=lambda c: c.used)
        cursor.go_to(start)
        return cursor

    def _offsets(self, which: Which | int) -> list[int]:
        with self._noticing_outages():
            return self._cluster.offsets(self.name, self.partitions, which)

    @contextmanager
    def _noticing_outages(self) -> Iterator[None]:
        try:
            yield
        except Unreachable:
            self._was_away = True
            raise

    def _drop(self, cursor: Cursor) -> None:
        self._cursors.remove(cursor)
        cursor.close()

    def _close_cursors(self) -> None:
        for cursor in list(self._cursors):
            self._drop(cursor)
