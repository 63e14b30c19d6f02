"""Appending: one frame, one sync, then the head. All of it or, whatever fails, nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from headrace.storage.durable import let_go
from headrace.storage.topics import frame
from headrace.storage.topics.body import encode_rows
from headrace.storage.topics.checkpoint import begin_segment
from headrace.storage.topics.direct import write_large
from headrace.storage.topics.directory import About
from headrace.storage.topics.disk import sync_data, write_at
from headrace.storage.topics.head import Head, publish_head
from headrace.storage.topics.producers import ProducerTable
from headrace.storage.topics.recovery import settle
from headrace.storage.topics.rows import Rows
from headrace.storage.topics.segment import index_path, producer_hash, segment_path
from headrace.storage.topics.segments import Segments
from headrace.values.errors import UsageError
from headrace.values.points import reach


@dataclass(frozen=True)
class Limits:
    """When a new segment is begun, and how large one append may be."""

    segment_bytes: int = 256 << 20
    segment_age_us: int = 24 * 3_600_000_000
    append_bytes_max: int = 1 << 30


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True)
class Numbering:
    """The producer's number of an append: of all of it, or of its first row (`by_row`)."""

    producer: str
    number: int
    by_row: bool
    note: Mapping[str, Any] | None


@dataclass(frozen=True)
class Appended:
    """Where an append landed: base offsets and counts by partition.

    `skipped` rows had been appended before; `duplicate` says that nothing was added therefore.
    `markers` offsets behind the rows of each partition hold no record: those of a transaction.
    """

    base: tuple[int, ...]
    counts: tuple[int, ...]
    arrival_us: int
    skipped: int = 0
    duplicate: bool = False
    markers: int = 0

    @property
    def rows(self) -> int:
        """How many rows were added."""
        return sum(self.counts)


class Writer:
    """What writes to a topic; every method needs the topic's lock."""

    def __init__(
        self, about: About, segments: Segments, limits: Limits, clock: Callable[[], int]
    ) -> None:
        self._about = about
        self._segments = segments
        self._limits = limits
        self._clock = clock
        self._producers = ProducerTable()

    def producers(self, head: Head) -> ProducerTable:
        """The producers as of `head`."""
        with self._segments.lock:
            self._producers.refresh(self._segments.active(head))
        return self._producers

    def append(
        self, rows: Rows, numbering: Numbering | None, *, read_soon: bool = True
    ) -> Appended:
        """Appends `rows` unless the producer has before; OSError leaves the log as it was."""
        head = settle(self._about, self._segments)
        count, skipped, origin = len(rows.partition), 0, None
        number = sum(head.end)
        if numbering is not None:
            state = self.producers(head).states.get(numbering.producer)
            last = -1 if state is None else state.sequence
            skipped, duplicate = _seen(numbering, count, last)
            if duplicate:
                return _nothing(head, skipped=count, duplicate=True)
            sequence = numbering.number
            if numbering.by_row:
                sequence = max(last, numbering.number + count - 1)
            number = numbering.number + skipped
            origin = frame.Origin(numbering.producer, sequence, numbering.note)
        elif count == 0:
            return _nothing(head)
        table, counts = rows.skip(skipped).grouped(number, self._about.partitions)
        body = encode_rows(table)
        if self._is_full(head):
            head = self.roll(head)
            with self._segments.lock:
                # Its index knows the checkpoint before the first frame is added to it: else that
                # frame, which is large, would be read back.
                self._segments.active(head)
        base = np.array(head.end, np.int64)
        arrival_us = max(self._clock(), head.arrival_us)
        place = (head.segment, head.position)
        pieces = frame.encode(
            frame.ROWS,
            place,
            arrival_us,
            (base, counts),
            body,
            seed=self._segments.seed,
            origin=origin,
        )
        end = base + counts
        after = replace(
            head,
            position=head.position + sum(len(piece) for piece in pieces),
            arrival_us=arrival_us,
            end=tuple(end.tolist()),
        )
        self._write(head, after, pieces, write_at if read_soon else write_large)
        self._note(head, after, end, origin)
        return Appended(head.end, tuple(counts.tolist()), arrival_us, skipped)

    def roll(self, head: Head) -> Head:
        """Begins the next segment."""
        base = np.array(head.end, np.int64)
        producers = self.producers(head).encoded()
        directory, ordinal = self._segments.directory, head.segment + 1
        size = begin_segment(
            directory, ordinal, head.arrival_us, base, self._segments.seed, producers
        )
        after = replace(head, segment=ordinal, position=size)
        try:
            publish_head(directory, after)
        except OSError:
            segment_path(directory, ordinal).unlink()
            raise
        return after

    def _is_full(self, head: Head) -> bool:
        with self._segments.lock:
            index = self._segments.active(head).index
            # Nothing is gained by another segment where the checkpoint alone is large.
            if index.limit - index.span(0)[1] >= self._limits.segment_bytes:
                return True
            arrivals_us = index.arrivals_us
            return (
                len(arrivals_us) > 1
                and self._clock() - int(arrivals_us[1]) >= self._limits.segment_age_us
            )

    def _write(
        self,
        head: Head,
        after: Head,
        pieces: list[Any],
        write: Callable[[int, list[Any], int], None],
    ) -> None:
        directory = self._segments.directory
        descriptor = os.open(segment_path(directory, head.segment), os.O_WRONLY)
        try:
            write(descriptor, pieces, head.position)
            reach("log.written")
            sync_data(descriptor)
            reach("log.synced")
            publish_head(directory, after)
            reach("log.published")
        except OSError:
            # No reader has seen it. If even this fails, the next writer finds bytes behind the head
            # and mends it.
            with suppress(OSError):
                os.ftruncate(descriptor, head.position)
            raise
        finally:
            let_go(descriptor)

    def _note(self, head: Head, after: Head, end: np.ndarray, origin: frame.Origin | None) -> None:
        """Takes the new frame into the index; its file may lag behind, so errors are no matter."""
        with self._segments.lock:
            segment = self._segments.opened(head.segment)
            index = segment.index
            # A reader in another thread may have come upon the published frame already.
            if index.limit == head.position:
                index.add(
                    head.position, after.position, after.arrival_us, producer_hash(origin), end
                )
                segment.trust(index.count - 1)
            with suppress(OSError):
                index.store(index_path(self._segments.directory, head.segment))


def _seen(numbering: Numbering, count: int, last: int) -> tuple[int, bool]:
    """How many rows are there already, and whether nothing of the append is new."""
    if not numbering.by_row:
        return 0, numbering.number <= last
    seen = max(last + 1 - numbering.number, 0)
    return min(seen, count), seen > 0 and seen >= count


def _nothing(head: Head, *, skipped: int = 0, duplicate: bool = False) -> Appended:
    return Appended(head.end, (0,) * len(head.end), head.arrival_us, skipped, duplicate)


def check_size(rows: Rows, limits: Limits) -> None:
    """UsageError when `rows` are too many bytes for one append."""
    if rows.table.nbytes > limits.append_bytes_max:
        raise UsageError(
            f"An append of {rows.table.nbytes:,} bytes is above the limit of "
            f"{limits.append_bytes_max:,}",
            remedy="Append it in several batches.",
        )
