"""One segment file of a topic: finding its frames and mapping them into memory.

Invariants: a segment begins with a checkpoint frame at byte 0; frames follow one another without
gaps; nothing at or behind the limit given by the head is ever looked at. A mapping is never
undone while a table still points into it, also when the file has been removed.
"""

from __future__ import annotations

import mmap
import os
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xxhash

from headrace.storage.topics import frame
from headrace.storage.topics.index import FrameIndex
from headrace.values.errors import TopicRefused

# What was written after the file was mapped is read, unless it or the piece asked for is longer.
_UNMAPPED_BYTES_MAX = 4 << 20
_READ_BYTES_MAX = 1 << 20
# Read beside a header, so that a short meta needs no second read.
_PEEK_BYTES = 2 << 10


def segment_path(directory: Path, ordinal: int) -> Path:
    """The file of segment `ordinal` of the topic in `directory`."""
    return directory / f"{ordinal:012d}.segment"


def index_path(directory: Path, ordinal: int) -> Path:
    """The file that spares the scan of segment `ordinal`."""
    return directory / f"{ordinal:012d}.index"


def ordinals(directory: Path) -> list[int]:
    """The segments there are, oldest first."""
    return sorted(int(path.stem) for path in directory.glob("*.segment"))


class Segment:
    """A segment open for reading; FileNotFoundError when it is not there (any more)."""

    def __init__(self, directory: Path, ordinal: int, partitions: int, seed: int) -> None:
        self.ordinal = ordinal
        self.path = segment_path(directory, ordinal)
        self.index = FrameIndex(partitions, seed)
        self._index_path = index_path(directory, ordinal)
        self._partitions = partitions
        self._seed = seed
        self._peek = frame.header_size(partitions) + _PEEK_BYTES
        self._descriptor = os.open(self.path, os.O_RDONLY)
        self._map: memoryview = memoryview(b"")
        self._verified = np.zeros(0, bool)

    def __del__(self) -> None:
        if hasattr(self, "_descriptor"):
            os.close(self._descriptor)

    def size(self) -> int:
        """Bytes in the file now."""
        return os.fstat(self._descriptor).st_size

    def extend(self, limit: int | None = None) -> None:
        """Brings the index up to byte `limit`, or for a finished segment up to its end."""
        until = self.size() if limit is None else limit
        if self.index.limit < until:
            self.index.load(self._index_path, until)
        while self.index.limit < until:
            self._hop(until)

    def begin(self) -> tuple[npt.NDArray[np.int64], int]:
        """The offsets before the first row, and the last arrival time before this segment."""
        header = self.valid_frame(0, self.size())
        if header is None or header.kind != frame.CHECKPOINT:
            raise self.damaged(0)
        return header.base, header.arrival_us

    def content(self, number: int) -> pa.Buffer:
        """The bytes of frame `number`, verified; TopicRefused when they are damaged."""
        position, end = self.index.span(number)
        buffer = self.bytes_at(position, end)
        if number >= len(self._verified) or not self._verified[number]:
            if buffer.size != end - position or not frame.holds(memoryview(buffer), self._seed):
                raise self.damaged(position)
            self.trust(number)
        return buffer

    def trust(self, number: int) -> None:
        """Notes that frame `number` was verified, or is as this process has just written it."""
        if number >= len(self._verified):
            grown = np.zeros(max(2 * number + 1, self.index.count), bool)
            grown[: len(self._verified)] = self._verified
            self._verified = grown
        self._verified[number] = True

    def rows(self, number: int) -> pa.RecordBatch:
        """The rows of frame `number`, sharing the memory of the mapping."""
        return frame.decode_rows(self.content(number))

    def header(self, number: int) -> tuple[frame.Header, memoryview]:
        """The header of frame `number`, and all its bytes."""
        content = memoryview(self.content(number))
        header = frame.parse_header(content, self._partitions)
        if header is None:
            raise self.damaged(self.index.span(number)[0])
        return header, content

    def valid_frame(self, position: int, until: int) -> frame.Header | None:
        """The header of the frame at `position` if all of it is there before `until` and holds."""
        content = self.bytes_at(position, min(until, position + self._peek))
        header = frame.parse_header(memoryview(content), self._partitions)
        if header is None or position + header.length > until:
            return None
        if (header.segment, header.position) != (self.ordinal, position):
            return None
        whole = self.bytes_at(position, position + header.length)
        return header if frame.holds(memoryview(whole), self._seed) else None

    def bytes_at(self, position: int, end: int) -> pa.Buffer:
        """The bytes from `position` to `end` (fewer at the end of the file), without a copy
        unless they are a short tail that was written after the file was mapped."""
        unmapped = end - len(self._map)
        if unmapped > 0 and (unmapped > _UNMAPPED_BYTES_MAX or end - position > _READ_BYTES_MAX):
            self._remap()
        if end <= len(self._map):
            return pa.py_buffer(self._map[position:end])
        return pa.py_buffer(os.pread(self._descriptor, end - position, position))

    def damaged(self, position: int) -> TopicRefused:
        """The error for a frame that cannot be what was written there."""
        return TopicRefused(
            f"{self.path} is damaged at byte {position}: what is there is not what was written",
            remedy="Check the disk, and restore the topic's directory from a backup.",
        )

    def _hop(self, until: int) -> None:
        """Adds the frame behind the last known one from the frame itself."""
        position = self.index.limit
        header = self.valid_frame(position, until)
        if header is None:
            raise self.damaged(position)
        start = memoryview(self.bytes_at(position, position + header.body_at))
        self.index.add(
            position,
            position + header.length,
            header.arrival_us,
            producer_hash(frame.origin_of(start, header)),
            header.base + header.counts,
        )

    def release(self, until: int) -> None:
        """Gives back the memory behind the bytes before `until`; they are read again if asked for.

        The pages of a mapping count as this process's memory until then: without this a reader
        would seem to hold as much as it has ever read.
        """
        mapped = self._map.obj
        end = until - until % mmap.PAGESIZE
        if isinstance(mapped, mmap.mmap) and 0 < end <= len(mapped):
            # From the beginning again: who delivers may have looked there since the last time.
            mapped.madvise(mmap.MADV_DONTNEED, 0, end)

    def _remap(self) -> None:
        # A file shorter than the mapping would kill the process on access, so its size is asked.
        size = self.size()
        if size:
            self._map = memoryview(mmap.mmap(self._descriptor, size, access=mmap.ACCESS_READ))


def producer_hash(origin: frame.Origin | None) -> int:
    """The number that stands for a producer in the index; 0 for none."""
    if origin is None:
        return 0
    return xxhash.xxh3_64_intdigest(origin.producer.encode()) >> 2 | 1 << 62
