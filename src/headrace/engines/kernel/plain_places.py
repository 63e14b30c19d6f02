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
    between = _Between(form, len(values))
    rows = np.empty(len(values), np.int64)
    bounds = np.empty((2, len(form.slots), len(values)), np.int32)
    count = 0
    for first, last in _blocks(offsets):
        base = int(offsets[first])
        edges = offsets[first : last + 1].astype(np.int64) - base
        found, starts = _in_block(between, octets[base : int(offsets[last])], edges)
        here = slice(count, count + len(found))
        np.add(found, first, out=rows[here])
        for slot, part in enumerate(form.parts[:-1]):
            bounds[0, slot, here] = starts[slot] + (base + len(part.text))
            bounds[1, slot, here] = starts[slot + 1] + base
        count += len(found)
    rows, bounds = rows[:count], bounds[:, :, :count]
    return Places(rows, bounds[0], bounds[1], content or pa.py_buffer(b""))


class _Between:
    """A form, with the bytes of each part once for every row of a block."""

    def __init__(self, form: Form, rows: int) -> None:
        self.form = form
        rows = min(rows, _BLOCK_ROWS)
        self.repeated = [np.tile(np.frombuffer(p.text, np.uint8), rows) for p in form.parts]


def octets_at(
    octets: NDArray[np.uint8], starts: NDArray[np.int32] | Ints, width: int
) -> NDArray[np.uint8]:
    """The `width` bytes from each of `starts` on, one after another."""
    # Every place as the beginning of so many bytes, which are copied as one.
    places = np.ndarray((len(octets) - width + 1,), f"V{width}", octets, strides=(1,))
    found: NDArray[np.uint8] = places[starts].view(np.uint8)
    return found


def _blocks(offsets: NDArray[np.int32]) -> Iterator[tuple[int, int]]:
    first, count = 0, len(offsets) - 1
    while first < count:
        full = int(np.searchsorted(offsets, int(offsets[first]) + _BLOCK_BYTES))
        last = min(count, first + _BLOCK_ROWS, max(first + 1, full))
        yield first, last
        first = last


def _in_block(
    between: _Between, octets: NDArray[np.uint8], bounds: Ints
) -> tuple[Ints, list[Ints]]:
    """Rows of a block that have the form, and for each part where it begins in them."""
    form = between.form
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
    return _verified(between, octets, bounds, rows, starts)


def _verified(
    between: _Between, octets: NDArray[np.uint8], bounds: Ints, rows: Ints, starts: list[Ints]
) -> tuple[Ints, list[Ints]]:
    """`rows` and `starts` of those whose parts have their places, and then their bytes."""
    form = between.form
    good = starts[0] == bounds[rows]
    good &= starts[-1] + len(form.parts[-1].text) == bounds[rows + 1]
    for part, start, following in zip(form.parts[:-1], starts[:-1], starts[1:], strict=True):
        good &= start + len(part.text) <= following
    rows, starts = _kept(good, rows, starts)
    good = np.ones(len(rows), bool)
    for part, start, text in zip(form.parts, starts, between.repeated, strict=True):
        if not len(rows):
            break
        same = octets_at(octets, start, len(part.text)) == text[: len(start) * len(part.text)]
        if not same.all():
            good &= same.reshape(len(start), -1).all(axis=1)
    return _kept(good, rows, starts)


def _kept(good: NDArray[np.bool_], rows: Ints, starts: list[Ints]) -> tuple[Ints, list[Ints]]:
    if good.all():
        return rows, starts
    return rows[good], [s[good] for s in starts]


def _special(octets: NDArray[np.uint8], bounds: Ints) -> Ints:
    """Rows with an escape or a control character."""
    if not len(octets) or not (
        octets.min() < _SPACE or octets.max() >= _DELETE or (octets == _BACKSLASH).any()
    ):
        return np.empty(0, np.int64)
    places = np.flatnonzero((octets < _SPACE) | (octets == _BACKSLASH) | (octets == _DELETE))
    rows: Ints = np.unique(np.searchsorted(bounds, places, "right") - 1)
    return rows
