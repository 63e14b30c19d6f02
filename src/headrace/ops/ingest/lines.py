"""Byte blocks to Arrow arrays of lines, in bounded memory whatever the lines are.

A line ends with LF or CRLF, the last one also with the stream. Empty lines are counted and left
out, a byte order mark at the beginning is dropped, a line above the size limit keeps its
beginning and a mark (values/oversize.py). Nothing else is looked at: NUL bytes and invalid UTF-8
pass.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from headrace.ops.ingest.streams import Torn
from headrace.values.oversize import KEPT_BYTES, Oversize, cut

_BOM = b"\xef\xbb\xbf"
_LF, _CR = 10, 13
_CHUNK_BYTES = 16 << 20
_RECORDS_MAX = 250_000
# Searching a megabyte at a time stays in the processor's cache: three times as fast as in one go.
_SEARCH_BYTES = 1 << 20
_TO_END = 2**31 - 1

Positions = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Place:
    """How far a stream was read: bytes (unpacked) and lines, empty ones among them.

    `last_line_bytes` is the length of the last line if the stream ended without a newline,
    else 0.
    """

    bytes: int = 0
    lines: int = 0
    empty: int = 0
    last_line_bytes: int = 0


@dataclass(frozen=True)
class LineBatch:
    """Whole lines without their ends, as a binary array, and the place behind them.

    `digest` is the XXH3-128 of the bytes from where the reader began, if it was asked for.
    """

    values: pa.Array
    place: Place
    digest: str | None = None


class LineReader:
    """Cuts `blocks` into batches of lines; `place` is where the stream of blocks begins.

    `hasher`, if given, has taken what came before and takes every byte up to each batch's place.
    After iteration `torn` holds why the stream broke off, or None; the lines before were given.
    """

    def __init__(
        self,
        blocks: Iterator[bytes],
        place: Place,
        value_bytes_max: int,
        hasher: xxhash.xxh3_128 | None = None,
    ) -> None:
        self.place = place
        self.torn: Torn | None = None
        self._blocks = blocks
        self._limit = value_bytes_max
        self._hasher = hasher
        self._long: _LongLine | None = None

    def __iter__(self) -> Iterator[LineBatch]:
        tail = b""
        for chunk in self._chunks():
            if self._long is not None:
                end = chunk.find(b"\n")
                self._long.feed(chunk if end < 0 else chunk[:end])
                self._hash(chunk if end < 0 else chunk[: end + 1])
                if end < 0:
                    continue
                yield self._finished(self._long, newline_bytes=1)
                chunk = chunk[end + 1 :]
            text = tail + chunk if tail else chunk
            end = text.rfind(b"\n") + 1
            yield from self._whole_lines(text, end)
            tail = text[end:]
            if len(tail) > self._limit:
                self._long = _LongLine()
                self._long.feed(tail)
                self._hash(tail)
                tail = b""
        if self.torn is not None:
            return
        if self._long is not None:
            yield self._finished(self._long, newline_bytes=0)
        elif tail:
            yield self._last(tail)

    def _chunks(self) -> Iterator[bytes]:
        """Blocks put together to about 16 MiB, less when they are slow; without the BOM."""
        parts: list[bytes] = []
        size = 0
        first = self.place.bytes == 0
        try:
            for block in self._blocks:
                parts.append(block)
                size += len(block)
                if not size or (block and size < _CHUNK_BYTES):
                    continue
                if first and size < len(_BOM) and _BOM.startswith(b"".join(parts)):
                    continue
                chunk, parts, size = b"".join(parts), [], 0
                yield self._without_bom(chunk) if first else chunk
                first = False
        except Torn as reason:
            self.torn = reason
        if size:
            chunk = b"".join(parts)
            yield self._without_bom(chunk) if first else chunk

    def _without_bom(self, chunk: bytes) -> bytes:
        if not chunk.startswith(_BOM):
            return chunk
        self.place = Place(bytes=len(_BOM))
        self._hash(_BOM)
        return chunk[len(_BOM) :]

    def _whole_lines(self, text: bytes, end: int) -> Iterator[LineBatch]:
        """The lines of text[:end], which ends with a newline."""
        octets = np.frombuffer(text, np.uint8, end)
        newlines = _newlines(octets)
        start = 0
        for first in range(0, len(newlines), _RECORDS_MAX):
            piece = newlines[first : first + _RECORDS_MAX]
            values = self._lines(text, octets, start, piece)
            stop = int(piece[-1]) + 1
            place = self.place
            self.place = Place(
                place.bytes + stop - start,
                place.lines + len(piece),
                place.empty + len(piece) - len(values),
            )
            self._hash(memoryview(text)[start:stop])
            start = stop
            yield self._batch(values)

    def _lines(
        self, text: bytes, octets: npt.NDArray[np.uint8], start: int, newlines: Positions
    ) -> pa.Array:
        """The lines that end at `newlines`, the first of which begins at `start`."""
        bounds = np.empty(len(newlines) + 1, np.int32)
        bounds[0] = start
        bounds[1:] = newlines + 1
        buffers = [None, pa.py_buffer(bounds), pa.py_buffer(text)]
        whole = pa.Array.from_buffers(pa.binary(), len(newlines), buffers)
        values = pc.binary_replace_slice(whole, -1, _TO_END, b"")
        returns = (octets[newlines - 1] == _CR) & (newlines > bounds[:-1])
        if returns.any():
            shorter = pc.binary_replace_slice(whole, -2, _TO_END, b"")
            values = shorter if returns.all() else pc.if_else(pa.array(returns), shorter, values)
        lengths = newlines - bounds[:-1] - returns
        if lengths.min() == 0:
            values = values.filter(pa.array(lengths > 0))
        return cut_long(values, self._limit)

    def _finished(self, line: _LongLine, newline_bytes: int) -> LineBatch:
        self._long = None
        self.place = Place(
            self.place.bytes + line.bytes + newline_bytes,
            self.place.lines + 1,
            self.place.empty,
            0 if newline_bytes else line.bytes,
        )
        return self._batch(pa.array([line.value()], pa.binary()))

    def _last(self, tail: bytes) -> LineBatch:
        """The line that the stream's end ends."""
        value = tail.removesuffix(b"\r")
        place = self.place
        self.place = Place(
            place.bytes + len(tail), place.lines + 1, place.empty + (not value), len(tail)
        )
        self._hash(tail)
        return self._batch(pa.array([value] if value else [], pa.binary()))

    def _hash(self, part: bytes | memoryview) -> None:
        if self._hasher is not None:
            self._hasher.update(part)

    def _batch(self, values: pa.Array) -> LineBatch:
        digest = None if self._hasher is None else self._hasher.hexdigest()
        return LineBatch(values, self.place, digest)


class _LongLine:
    """A line above the limit as it comes by: its beginning, its length, its hash."""

    def __init__(self) -> None:
        self.bytes = 0
        self._beginning = b""
        self._hash = xxhash.xxh3_128()
        # A CR is held back: if the line ends behind it, it belongs to the line's end.
        self._held = b""

    def feed(self, part: bytes) -> None:
        if not part:
            return
        self.bytes += len(part)
        text = self._held + part if self._held else part
        self._held = b"\r" if text.endswith(b"\r") else b""
        text = text.removesuffix(b"\r")
        self._hash.update(text)
        if len(self._beginning) < KEPT_BYTES:
            self._beginning += text[: KEPT_BYTES - len(self._beginning)]

    def value(self) -> bytes:
        """The record that stands for the line."""
        return cut(self._beginning, Oversize(self.bytes - len(self._held), self._hash.hexdigest()))


def _newlines(octets: npt.NDArray[np.uint8]) -> Positions:
    found = [
        np.flatnonzero(octets[start : start + _SEARCH_BYTES] == _LF) + start
        for start in range(0, len(octets), _SEARCH_BYTES)
    ]
    return np.concatenate(found) if found else np.empty(0, np.int64)


def cut_long(values: pa.Array, bytes_max: int) -> pa.Array:
    """`values` (binary, lines without their ends) with those above `bytes_max` cut."""
    lengths = pc.binary_length(values)
    if not len(values) or pc.max(lengths).as_py() <= bytes_max:
        return values
    long = pc.greater(lengths, bytes_max)
    shorter = []
    for number in np.flatnonzero(long.to_numpy(zero_copy_only=False)).tolist():
        line = values[number].as_py()
        shorter.append(cut(line, Oversize(len(line), xxhash.xxh3_128_hexdigest(line))))
    return pc.replace_with_mask(values, long, pa.array(shorter, pa.binary()))
