"""Removing old segments: whole ones, oldest first, by age and size, never an unread one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from headrace.storage.topics.head import Head, publish_head
from headrace.storage.topics.segment import index_path, ordinals, segment_path
from headrace.storage.topics.segments import Segments
from headrace.values.points import reach


@dataclass(frozen=True)
class Retained:
    """What a retention run removed; `held_by` names a reader that kept it from removing more."""

    segments: int
    bytes: int
    begin_offsets: list[int]
    held_by: str | None = None


def remove_segments(
    segments: Segments,
    head: Head,
    before_us: int | None,
    bytes_max: int | None,
    readers: Mapping[str, Sequence[int]],
) -> tuple[Head, Retained]:
    """Removes what arrived before `before_us` or exceeds `bytes_max` in all; the lock is held.

    The segment that is written to always stays. The head moves first, so a crash leaves only
    files that the next run removes.
    """
    directory = segments.directory
    sizes = {
        ordinal: segment_path(directory, ordinal).stat().st_size for ordinal in ordinals(directory)
    }
    total = sum(size for ordinal, size in sizes.items() if ordinal >= head.first)
    first, begin, held_by = head.first, head.begin, None
    while first < head.segment:
        after, last_arrival_us = segments.begin(first + 1)
        old = before_us is not None and last_arrival_us < before_us
        if not old and (bytes_max is None or total <= bytes_max):
            break
        held_by = next((name for name, offsets in readers.items() if (after > offsets).any()), None)
        if held_by is not None:
            break
        total -= sizes.get(first, 0)
        first, begin = first + 1, tuple(after.tolist())
    removed = [ordinal for ordinal in sizes if ordinal < first]
    # Also where an earlier run published it, and nobody knows whether the disk has it.
    if removed or first != head.first:
        head = replace(head, first=first, begin=begin)
        publish_head(directory, head, durable=True)
        reach("log.retained")
    for ordinal in removed:
        segment_path(directory, ordinal).unlink(missing_ok=True)
        index_path(directory, ordinal).unlink(missing_ok=True)
        reach("log.segment.removed")
    report = Retained(
        len(removed), sum(sizes[ordinal] for ordinal in removed), list(begin), held_by
    )
    return head, report
