"""The segments of a topic that this process has open."""

from __future__ import annotations

import threading
from bisect import bisect_left
from pathlib import Path

import numpy as np
import numpy.typing as npt

from headrace.storage.topics.disk import reading
from headrace.storage.topics.head import Head
from headrace.storage.topics.segment import Segment, segment_path

_OPEN_MAX = 16


class Segments:
    """Opens segments when they are asked for and keeps the last few; hold `lock` around use."""

    def __init__(self, directory: Path, partitions: int, seed: int) -> None:
        self.directory = directory
        self.partitions = partitions
        self.seed = seed
        self.lock = threading.RLock()
        self._open: dict[int, Segment] = {}
        self._begins: dict[int, tuple[npt.NDArray[np.int64], int]] = {}

    def at(self, ordinal: int, head: Head) -> Segment:
        """Segment `ordinal` with its index up to date; FileNotFoundError when it is gone."""
        segment = self.opened(ordinal)
        if ordinal < head.segment:
            segment.extend()
            # Cut between two frames it would seem whole, and what follows to be all there is.
            ends, follows = segment.index.ends, self.begin(ordinal + 1)[0]
            if not segment.index.count or (ends[:, -1] != follows).any():
                raise segment.damaged(segment.index.limit)
        else:
            if segment.index.limit > head.position:
                # The log was cut back by a repair: what is known of it is worth nothing.
                del self._open[ordinal]
                segment = self.opened(ordinal)
            segment.extend(head.position)
        return segment

    def active(self, head: Head) -> Segment:
        """The segment that is written to."""
        return self.at(head.segment, head)

    def begin(self, ordinal: int) -> tuple[npt.NDArray[np.int64], int]:
        """The offsets and the last arrival time before segment `ordinal`."""
        if ordinal not in self._begins:
            self._begins[ordinal] = self.opened(ordinal).begin()
        return self._begins[ordinal]

    def holding(self, start: npt.NDArray[np.int64], head: Head) -> int:
        """The first segment with a record at or after `start` in any partition, or the last."""
        return head.first + bisect_left(
            range(head.first, head.segment),
            True,
            key=lambda ordinal: bool((self.begin(ordinal + 1)[0] > start).any()),
        )

    def arriving(self, time_us: int, head: Head) -> int:
        """The first segment with a record that arrived at `time_us` or later, or the last."""
        return head.first + bisect_left(
            range(head.first, head.segment),
            True,
            key=lambda ordinal: self.begin(ordinal + 1)[1] >= time_us,
        )

    def forget_before(self, first: int) -> None:
        """Lets go of the segments before `first`."""
        for known in (self._open, self._begins):
            for ordinal in [ordinal for ordinal in known if ordinal < first]:
                del known[ordinal]

    def release_before(self, ordinal: int, position: int) -> None:
        """Gives back the memory of what was read before `position` of segment `ordinal`.

        Segments well behind are closed: their mapping ends with the last table that needs it.
        """
        for number in [number for number in self._open if number < ordinal - 1]:
            del self._open[number]
        for number, segment in self._open.items():
            if number < ordinal:
                segment.release(segment.size())
            elif number == ordinal:
                segment.release(position)

    def opened(self, ordinal: int) -> Segment:
        """Segment `ordinal` with its index as it is; FileNotFoundError when it is gone."""
        segment = self._open.pop(ordinal, None)
        if segment is None:
            with reading(segment_path(self.directory, ordinal)):
                segment = Segment(self.directory, ordinal, self.partitions, self.seed)
        self._open[ordinal] = segment
        if len(self._open) > _OPEN_MAX:
            del self._open[next(iter(self._open))]
        return segment
