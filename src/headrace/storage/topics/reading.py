"""Reading a range of offsets: which frames hold it, and their rows as one table of records.

Rows come in the order of the frames, so partitions keep in step and windows close early.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from headrace.storage.contract import RECORDS
from headrace.storage.topics.frame import PLAIN
from headrace.storage.topics.head import Head
from headrace.storage.topics.rows import EXTRAS
from headrace.storage.topics.segment import Segment
from headrace.storage.topics.segments import Segments
from headrace.values.weights import read_bytes_max

Ints = npt.NDArray[np.int64]
# Rows handed out lately are likely to be asked for again, by whoever delivers them. Older ones too:
# they are in the page cache, and a page is mapped again for less than looking at it costs.
_KEPT_MAPPED_BYTES = 4 << 20
_FRAMES_AT_ONCE = 1024
# Below this many rows a chunk costs its reader more than copying it does.
_CHUNK_ROWS_MIN = 2048
RECORDS_WITH_EXTRAS = pa.schema([*RECORDS, *EXTRAS])


@dataclass(frozen=True)
class _Slice:
    """Frames `first` and on of a segment: from each `counts` rows beginning at offset `low`.

    `low` and `counts` are (frames, partitions).
    """

    segment: Segment
    first: int
    low: Ints
    counts: Ints


def read_range(
    segments: Segments, head: Head, bounds: tuple[Ints, Ints], records_max: int, schema: pa.Schema
) -> pa.Table:
    """The records between `bounds` (start, stop) by partition, about `records_max` of them.

    Large ones are fewer (values/weights.py). `schema` is RECORDS or RECORDS_WITH_EXTRAS. Frames are
    taken whole, except the first when it alone is too large: of that one every partition gives its
    share.
    """
    slices: list[_Slice] = []
    room = float(records_max)
    record_bytes = read_bytes_max(records_max) / records_max
    if (bounds[0] < bounds[1]).any():
        wanted = np.where(bounds[0] < bounds[1], bounds[0], np.iinfo(np.int64).max)
        for ordinal in range(segments.holding(wanted, head), head.segment + 1):
            if (segments.begin(ordinal)[0] >= bounds[1])[bounds[0] < bounds[1]].all():
                break
            if not _holds_some(segments, ordinal, head, bounds):
                # Between the last records of a partition that rests and those of the others.
                continue
            segment = segments.at(ordinal, head)
            if not slices:
                _release(segments, segment, wanted)
            for part in _frames(segment, wanted, bounds):
                taken, weight, full = _cut(part, room, record_bytes, first=room == records_max)
                room -= weight
                if taken.counts.any():
                    slices.append(taken)
                if full:
                    return _table(slices, schema)
    return _table(slices, schema)


def _holds_some(segments: Segments, ordinal: int, head: Head, bounds: tuple[Ints, Ints]) -> bool:
    """Whether a segment has a record of the range."""
    base = segments.begin(ordinal)[0]
    end = segments.begin(ordinal + 1)[0] if ordinal < head.segment else np.array(head.end)
    return bool((np.maximum(base, bounds[0]) < np.minimum(end, bounds[1])).any())


def _release(segments: Segments, segment: Segment, wanted: Ints) -> None:
    """Lets go of what lies well behind the range: who still holds rows of it reads them again."""
    first = min(
        int(column.searchsorted(start, "right"))
        for column, start in zip(segment.index.ends, wanted.tolist(), strict=True)
    )
    if 0 < first < segment.index.count:
        position = segment.index.span(first)[0]
        segments.release_before(segment.ordinal, position - _KEPT_MAPPED_BYTES)


def offsets_at(segments: Segments, head: Head, time_us: int) -> Ints:
    """The first offsets, by partition, of what arrived at `time_us` or later."""
    if time_us > head.arrival_us:
        return np.array(head.end, np.int64)
    segment = segments.at(segments.arriving(time_us, head), head)
    number = int(segment.index.arrivals_us[1:].searchsorted(time_us)) + 1
    return segment.index.ends[:, number - 1].copy()


def _frames(segment: Segment, wanted: Ints, bounds: tuple[Ints, Ints]) -> Iterator[_Slice]:
    """What the frames of `segment` hold of the range, some frames at a time."""
    ends = segment.index.ends
    first = min(
        int(column.searchsorted(start, "right"))
        for column, start in zip(ends, wanted.tolist(), strict=True)
    )
    for at in range(max(first, 1), segment.index.count, _FRAMES_AT_ONCE):
        until = min(at + _FRAMES_AT_ONCE, segment.index.count)
        base = ends[:, at - 1 : until - 1].T
        low = np.maximum(base, bounds[0])
        counts = np.maximum(np.minimum(ends[:, at:until].T, bounds[1]) - low, 0)
        yield _Slice(segment, at, low, counts)
        if (ends[:, until - 1] >= bounds[1]).all():
            return


def _cut(
    part: _Slice, room: float, record_bytes: float, *, first: bool
) -> tuple[_Slice, float, bool]:
    """As many frames of `part` as fit into `room` rows of so many bytes.

    With them as how many rows they count, and whether that was the end of it.
    """
    weights = _weights(part, record_bytes)
    fit = int(weights.cumsum().searchsorted(room, "right"))
    if fit == len(weights):
        return part, float(weights.sum()), False
    if fit == 0 or not weights[:fit].any():
        if not first:
            return _head_of(part, 0), 0.0, True
        # Rounded up: together a few rows more than asked for, but never none.
        share = np.ceil(part.counts[fit] * (room / weights[fit])).astype(np.int64)
        counts = np.vstack([part.counts[:fit], share])
        return _Slice(part.segment, part.first, part.low[: fit + 1], counts), room, True
    return _head_of(part, fit), float(weights[:fit].sum()), True


def _weights(part: _Slice, record_bytes: float) -> npt.NDArray[np.float64]:
    """As how many rows the wanted ones of each frame count: more where they are large."""
    last = part.first + len(part.counts)
    index = part.segment.index
    held = np.diff(index.ends[:, part.first - 1 : last], axis=1).sum(axis=0)
    wanted = part.counts.sum(axis=1)
    sizes = index.sizes[part.first : last] * wanted / np.maximum(held, 1)
    weights: npt.NDArray[np.float64] = np.maximum(wanted, sizes / record_bytes)
    return weights


def _head_of(part: _Slice, frames: int) -> _Slice:
    return _Slice(part.segment, part.first, part.low[:frames], part.counts[:frames])


def _table(slices: list[_Slice], schema: pa.Schema) -> pa.Table:
    batches, arrivals = [], []
    for part in slices:
        batches += _batches(part)
        last = part.first + len(part.counts)
        times = part.segment.index.arrivals_us[part.first : last]
        arrivals.append(np.repeat(times, part.counts.sum(axis=1)))
    if not batches:
        return schema.empty_table()
    counts = np.concatenate([part.counts for part in slices]).reshape(-1)
    lows = np.concatenate([part.low for part in slices]).reshape(-1)
    total = int(counts.sum())
    partitions = np.tile(
        np.arange(slices[0].counts.shape[1], dtype=np.int32),
        sum(len(part.counts) for part in slices),
    )
    firsts = np.cumsum(counts) - counts
    offsets = np.arange(total) + np.repeat(lows - firsts, counts)
    columns = {
        "partition": pa.array(np.repeat(partitions, counts)),
        "offset": pa.array(offsets),
        "arrival_time": pa.array(np.concatenate(arrivals).view("M8[us]")),
    }
    for field in schema:
        if field.name not in columns:
            columns[field.name] = _column(batches, field, total)
    return pa.table([columns[name] for name in schema.names], schema=schema)


def _batches(part: _Slice) -> list[pa.RecordBatch]:
    """The wanted rows of the frames, in as few pieces as they lie."""
    batches = []
    ends = part.segment.index.ends[:, part.first - 1 : part.first + len(part.counts)].T
    held, base = np.diff(ends, axis=0), ends[:-1]
    whole = (part.counts == held).all(axis=1).tolist()
    for number in np.flatnonzero(part.counts.any(axis=1)).tolist():
        batch = part.segment.rows(part.first + number)
        if whole[number]:
            batches.append(batch)
            continue
        firsts = np.cumsum(held[number]) - held[number] + part.low[number] - base[number]
        batches += [
            batch.slice(first, count)
            for first, count in zip(firsts.tolist(), part.counts[number].tolist(), strict=True)
            if count
        ]
    return batches


def _column(batches: list[pa.RecordBatch], field: pa.Field, total: int) -> pa.ChunkedArray:
    # In every frame key and value come first; only the others have to be looked for.
    if field.name in PLAIN.names:
        at = PLAIN.names.index(field.name)
        chunks = [batch.column(at) for batch in batches]
    else:
        chunks = [
            batch.column(field.name)
            if field.name in batch.schema.names
            else pa.nulls(batch.num_rows, field.type)
            for batch in batches
        ]
    if total < _CHUNK_ROWS_MIN * len(chunks):
        return pa.chunked_array(chunks, field.type).combine_chunks()
    return pa.chunked_array(chunks, field.type)
