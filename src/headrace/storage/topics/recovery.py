"""Making a topic sound again after a crash, before anything is written to it.

A writer may have died between any two of its steps: frame, sync, head; or new segment, head.
What is whole was durable or is made so now, and is adopted; a torn last frame is cut off. A
damaged frame that whole ones follow is no torn tail: it is refused, never cut.
"""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from headrace.storage.durable import let_go, sync_directory
from headrace.storage.topics import frame
from headrace.storage.topics.directory import About
from headrace.storage.topics.disk import sync_data
from headrace.storage.topics.head import FILE_NAME as HEAD
from headrace.storage.topics.head import Head, publish_head, read_head
from headrace.storage.topics.segment import Segment, index_path, ordinals, segment_path
from headrace.storage.topics.segments import Segments
from headrace.storage.ways import go_on_with
from headrace.values.errors import TopicRefused
from headrace.values.points import reach

Offsets = npt.NDArray[np.int64]


def settle(about: About, segments: Segments) -> Head:
    """The topic's head, after mending what a crash left; the topic's lock must be held.

    TopicRefused when the topic was made again, or is damaged; OSError from the disk.
    """
    directory = segments.directory
    head = read_head(directory, about.partitions)
    if head is None:
        return _rebuild(about, segments)
    if head.identity != about.identity:
        raise made_again(about)
    path = segment_path(directory, head.segment)
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        raise TopicRefused(
            f"{path} is missing, though the topic's last records are in it",
            remedy="Restore the topic's directory from a backup.",
        ) from None
    if size < head.position:
        # The head follows what is durable, so this was no crash: records that were acknowledged
        # are gone, and whoever has not read them would never know.
        raise TopicRefused(
            f"{path} ends at byte {size}, though records up to byte {head.position} were "
            "acknowledged",
            remedy="Restore the topic's directory from a backup; or, to go on with the records "
            f"that are left, remove {directory / HEAD}",
        )
    follows = segment_path(directory, head.segment + 1).exists()
    if size == head.position and not follows:
        return head
    return _adopt(head, segments)


class MadeAgain(TopicRefused):
    """The topic is not the one that was opened; the remedy is for who reads it on and on."""


def made_again(about: About) -> MadeAgain:
    """The error for a topic that is not the one that was opened."""
    return MadeAgain(
        f'Topic "{about.name}" was deleted and made again while it was in use: '
        "its offsets mean other records now",
        remedy=go_on_with(about.name),
    )


def _rebuild(about: About, segments: Segments) -> Head:
    """The head from the segments alone."""
    directory = segments.directory
    there = ordinals(directory)
    if len(there) > 1 and _open(segments, there[-1]).valid_frame(0, 1 << 62) is None:
        _remove(segments, there.pop())
    if not there:
        raise TopicRefused(
            f'Topic "{about.name}" in {directory} has lost all its segments',
            remedy="Restore the topic's directory from a backup.",
        )
    last = _open(segments, there[-1])
    first = last.ordinal
    while first - 1 in there:
        first -= 1
    begin = tuple(_open(segments, first).begin()[0].tolist())
    base, arrival_us = last.begin()
    head = Head(about.identity, first, last.ordinal, 0, arrival_us, begin, tuple(base.tolist()))
    return _adopt(head, segments)


def _adopt(head: Head, segments: Segments) -> Head:
    """The head after every whole frame behind `head` was taken in and the rest cut off."""
    directory = segments.directory
    segment = _open(segments, head.segment)
    head = _scan(head, segment)
    while segment_path(directory, head.segment + 1).exists():
        follower = _open(segments, head.segment + 1)
        checkpoint = follower.valid_frame(0, follower.size())
        if checkpoint is None and not segment_path(directory, follower.ordinal + 1).exists():
            _remove(segments, follower.ordinal)
            break
        # Only the last segment can have a torn tail: before the next is begun, all is synced.
        if head.position != segment.size():
            raise segment.damaged(head.position)
        if checkpoint is None or tuple(checkpoint.base.tolist()) != head.end:
            raise follower.damaged(0)
        head = _scan(replace(head, segment=follower.ordinal, position=0), follower)
        segment = follower
    _cut(segment, head.position)
    sync_directory(directory)
    reach("log.recovery.synced")
    publish_head(directory, head)
    reach("log.recovery.published")
    with segments.lock:
        segment.extend(head.position)
        segment.index.store(index_path(directory, head.segment), again=True)
    return head


def _scan(head: Head, segment: Segment) -> Head:
    """The head behind the whole frames that follow `head` in `segment`."""
    size = segment.size()
    position, arrival_us, end = head.position, head.arrival_us, np.array(head.end, np.int64)
    while position < size:
        header = segment.valid_frame(position, size)
        if header is None or not (header.base == end).all():
            break
        position += header.length
        arrival_us, end = max(arrival_us, header.arrival_us), header.base + header.counts
    if position == 0 or (position < size and _whole_frame_after(segment, position, size)):
        raise segment.damaged(position)
    return replace(head, position=position, arrival_us=arrival_us, end=tuple(end.tolist()))


def _cut(segment: Segment, position: int) -> None:
    """Ends the segment at `position` and makes what was adopted durable."""
    descriptor = os.open(segment.path, os.O_RDWR)
    try:
        if position < segment.size():
            os.ftruncate(descriptor, position)
            reach("log.recovery.cut")
        sync_data(descriptor)
    finally:
        let_go(descriptor)


def _whole_frame_after(segment: Segment, position: int, size: int) -> bool:
    """Whether a frame holds anywhere behind the broken one at `position`."""
    content = segment.bytes_at(position, size).to_pybytes()
    found = content.find(frame.MAGIC, frame.ALIGNMENT)
    while found >= 0:
        start = position + found - frame.MAGIC_AT
        if start % frame.ALIGNMENT == 0 and segment.valid_frame(start, size) is not None:
            return True
        found = content.find(frame.MAGIC, found + 1)
    return False


def _open(segments: Segments, ordinal: int) -> Segment:
    return Segment(segments.directory, ordinal, segments.partitions, segments.seed)


def _remove(segments: Segments, ordinal: int) -> None:
    segment_path(segments.directory, ordinal).unlink(missing_ok=True)
    index_path(segments.directory, ordinal).unlink(missing_ok=True)
    reach("log.recovery.removed")
