"""Where the values of records stand that have one form, found by their quotation marks.

If a record has as many marks as the parts of the form, the parts stand where their marks say, and
their bytes are right, then no value holds a mark, and the values are what lies between.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from headrace.engines.kernel.plain_form import Form

# A block and what is made of it stay in the processor's cache.
_BLOCK_ROWS, _BLOCK_BYTES = 4096, 1 << 19
_QUOTE, _BACKSLASH, _DELETE, _SPACE = 34, 92, 127, 32

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Places:
    """`rows` have the form; `starts` and `ends` (slots, rows) bound their values in `content`."""

    rows: Ints
    starts: NDArray[np.int32]
    ends: NDArray[np.int32]
    content: pa.Buffer

    def texts(self, slot: int, shorter_by: int = 0) -> pa.StringArray:
        """The values of a slot without their last `shorter_by` bytes."""
        count = len(self.rows)
        bounds = np.empty(2 * count, np.int32)
        bounds[0::2] = self.starts[slot]
        bounds[1::2] = self.ends[slot] - shorter_by
        buffers = [None, pa.py_buffer(bounds), self.content]
        values_and_gaps = pa.Array.from_buffers(pa.string(), max(0, 2 * count - 1), buffers)
        return values_and_gaps.take(pa.array(np.arange(0, 2 * count, 2)))


def places_of(form: Form, values: pa.StringArray) -> Places:
    """The places in those of `values` that have the form; null has none."""
    _, ends, content = values.buffers()
    offsets = np.frombuffer(ends, np.int32)[values.offset : values.offset + len(values) + 1]
    octets = np.frombuffer(content or b"", np.uint8)
    found: list[tuple[Ints, list[Ints]]] = []
    for first, last in _blocks(offsets):
        base = int(offsets[first])
        bounds = offsets[first : last + 1].astype(np.int64) - base
        rows, starts = _in_block(form, octets[base : int(offsets[last])], bounds)
        found.append((rows + first, [s + base for s in starts]))
    parts = range(len(form.parts))
    starts = [_joined([s[p] for _, s in found]) for p in parts]
    return Places(
        _joined([rows for rows, _ in found]),
        np.array(
            [s + len(p.text) for s, p in zip(starts[:-1], form.parts[:-1], strict=True)], np.int32
        ),
        np.array(starts[1:], np.int32),
        content or pa.py_buffer(b""),
    )


def _joined(parts: list[Ints]) -> Ints:
    return np.concatenate(parts) if parts else np.empty(0, np.int64)


def _blocks(offsets: NDArray[np.int32]) -> Iterator[tuple[int, int]]:
    first, count = 0, len(offsets) - 1
    while first < count:
        full = int(np.searchsorted(offsets, int(offsets[first]) + _BLOCK_BYTES))
        last = min(count, first + _BLOCK_ROWS, max(first + 1, full))
        yield first, last
        first = last


def _in_block(form: Form, octets: NDArray[np.uint8], bounds: Ints) -> tuple[Ints, list[Ints]]:
    """Rows of a block that have the form, and for each part where it begins in them."""
    marks = np.flatnonzero(octets == _QUOTE)
    firsts = [part.quote for part in form.parts]
    rows = np.arange(len(bounds) - 1)
    special = _special(octets, bounds)
    whole = len(marks) == len(rows) * form.quotes and not len(special)
    if whole:
        table = marks.reshape(len(rows), form.quotes)
        whole = bool((table[:, 0] >= bounds[:-1]).all() and (table[:, -1] < bounds[1:]).all())
    if not whole:
        edges = np.searchsorted(marks, bounds)
        fits = np.diff(edges) == form.quotes
        fits[special] = False
        rows = np.flatnonzero(fits)
        table = marks[edges[rows][:, None] + np.arange(form.quotes)]
    # The last part of a record that ends with a bare value has no mark: it ends with the record.
    starts = [
        table[:, first] - part.quote_at if part.quote_at >= 0 else bounds[rows + 1] - len(part.text)
        for first, part in zip(
            (*firsts[:-1], min(firsts[-1], form.quotes - 1)), form.parts, strict=True
        )
    ]
    return _verified(form, octets, bounds, rows, starts)


def _verified(
    form: Form, octets: NDArray[np.uint8], bounds: Ints, rows: Ints, starts: list[Ints]
) -> tuple[Ints, list[Ints]]:
    """`rows` and `starts` of those whose parts have their places, and then their bytes."""
    good = starts[0] == bounds[rows]
    good &= starts[-1] + len(form.parts[-1].text) == bounds[rows + 1]
    for part, start, following in zip(form.parts[:-1], starts[:-1], starts[1:], strict=True):
        good &= start + len(part.text) <= following
    rows, starts = _kept(good, rows, starts)
    good = np.ones(len(rows), bool)
    for part, start in zip(form.parts, starts, strict=True):
        for kind, place, word in part.words if len(rows) else ():
            # Every place of the block as the beginning of a word, aligned or not.
            words = np.ndarray((len(octets) - kind.itemsize + 1,), kind, octets, strides=(1,))
            good &= words[start + place] == word
    return _kept(good, rows, starts)


def _kept(good: NDArray[np.bool_], rows: Ints, starts: list[Ints]) -> tuple[Ints, list[Ints]]:
    if good.all():
        return rows, starts
    return rows[good], [s[good] for s in starts]


def _special(octets: NDArray[np.uint8], bounds: Ints) -> Ints:
    """Rows with an escape or a control character."""
    if not len(octets) or not (
        octets.min() < _SPACE or (octets == _BACKSLASH).any() or (octets == _DELETE).any()
    ):
        return np.empty(0, np.int64)
    places = np.flatnonzero((octets < _SPACE) | (octets == _BACKSLASH) | (octets == _DELETE))
    rows: Ints = np.unique(np.searchsorted(bounds, places, "right") - 1)
    return rows
