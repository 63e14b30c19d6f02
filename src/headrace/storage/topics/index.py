"""Where the frames of a segment lie: a table in memory, and beside the segment a file of it.

The file only spares the scan when a topic is opened. It is written without a sync after the
frames are published; what of it does not form an unbroken chain of entries that hold is not
believed, and the frames themselves are asked instead.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import numpy.typing as npt

from headrace.storage.topics.disk import write_at

_POSITION, _END, _ARRIVAL, _PRODUCER, _OFFSETS = range(5)
Ints = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]


class FrameIndex:
    """The frames of one segment, in order: position, end, arrival time, producer, end offsets.

    The columns are int64 arrays over the frames; `ends` is (partitions, frames).
    """

    def __init__(self, partitions: int, seed: int) -> None:
        self._columns = np.empty((_OFFSETS + partitions, 16), np.int64)
        self._seed = np.uint64(seed)
        self.count = 0

    @property
    def limit(self) -> int:
        """The byte behind the last frame."""
        return int(self._columns[_END, self.count - 1]) if self.count else 0

    def span(self, number: int) -> tuple[int, int]:
        """The byte where frame `number` begins, and the one behind it."""
        return int(self._columns[_POSITION, number]), int(self._columns[_END, number])

    @property
    def sizes(self) -> Ints:
        """The bytes of each frame."""
        of: Ints = self._columns[_END, : self.count] - self._columns[_POSITION, : self.count]
        return of

    @property
    def arrivals_us(self) -> Ints:
        return self._columns[_ARRIVAL, : self.count]

    @property
    def producers(self) -> Ints:
        """A hash of each frame's producer id; 0 for none."""
        return self._columns[_PRODUCER, : self.count]

    @property
    def ends(self) -> Ints:
        """The offsets behind each frame, (partitions, frames)."""
        return self._columns[_OFFSETS:, : self.count]

    def add(self, position: int, end: int, arrival_us: int, producer: int, ends: Ints) -> None:
        """Adds the next frame."""
        self._reserve(1)
        column = self._columns[:, self.count]
        column[:_OFFSETS] = position, end, arrival_us, producer
        column[_OFFSETS:] = ends
        self.count += 1

    def load(self, path: Path, limit: int) -> None:
        """Adds from the file at `path` the frames that follow and end at or before `limit`."""
        width = self._columns.shape[0] + 1
        try:
            with path.open("rb") as file:
                file.seek(self.count * width * 8)
                content = file.read()
        except FileNotFoundError:
            return
        whole = len(content) // (width * 8)
        stored = np.frombuffer(content, "<i8", whole * width).reshape(whole, width).T
        entries = stored[:-1]
        holds = stored[-1].astype(np.uint64) == self._checksums(entries)
        entries = entries[:, : self._chained(entries, holds, limit)]
        self._reserve(entries.shape[1])
        self._columns[:, self.count : self.count + entries.shape[1]] = entries
        self.count += entries.shape[1]

    def store(self, path: Path, *, again: bool = False) -> None:
        """Brings the file at `path` up to this index; `again` writes all of it."""
        width = (self._columns.shape[0] + 1) * 8
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            size = os.fstat(descriptor).st_size
            there = 0 if again else min(size // width, self.count)
            if size != there * width:
                os.ftruncate(descriptor, there * width)
            entries = self._columns[:, there : self.count]
            added = np.vstack([entries, self._checksums(entries).astype(np.int64)])
            write_at(descriptor, [added.T.tobytes()], there * width)
        finally:
            os.close(descriptor)

    def _checksums(self, entries: Ints) -> Words:
        """A sum of each entry with odd weights: any one changed number changes it."""
        weights = np.arange(1, 2 * len(entries), 2, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        sums: Words = weights @ entries.astype(np.uint64) + self._seed
        return sums

    def _chained(self, entries: Ints, holds: npt.NDArray[np.bool_], limit: int) -> int:
        """How many of `entries` continue this index without a break, up to byte `limit`."""
        if entries.shape[1] == 0:
            return 0
        before = np.empty((entries.shape[0], entries.shape[1]), np.int64)
        before[:, 1:] = entries[:, :-1]
        before[:, 0] = self._columns[:, self.count - 1] if self.count else 0
        sound = (
            holds
            & (entries[_POSITION] == before[_END])
            & (entries[_END] > entries[_POSITION])
            & (entries[_END] <= limit)
            & (entries[_ARRIVAL] >= before[_ARRIVAL])
            & (entries[_OFFSETS:] >= before[_OFFSETS:]).all(axis=0)
        )
        return int(sound.argmin()) if not sound.all() else len(sound)

    def _reserve(self, more: int) -> None:
        capacity = self._columns.shape[1]
        if self.count + more > capacity:
            grown = np.empty(
                (self._columns.shape[0], max(2 * capacity, self.count + more)), np.int64
            )
            grown[:, : self.count] = self._columns[:, : self.count]
            self._columns = grown
