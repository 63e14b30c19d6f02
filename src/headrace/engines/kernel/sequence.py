"""`sequence`: which session each row belongs to, for sessions opened and closed by marks.

Rows of a key stand in the order of semantics, section 5. A row that carries the open session of
earlier epochs stands before its key's other rows. Everything is decided by one sort and a few
passes over arrays: a *segment* begins with a start, with a carried session, or where the timeout
has lapsed; only the first two kinds open a session, and the first end in a segment closes it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headrace.engines.kernel.watermark import NEVER_US

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

OPEN, END, RESTART, TIMEOUT = 0, 1, 2, 3
WHY = {OPEN: None, END: "end", RESTART: "restart", TIMEOUT: "timeout"}


@dataclass(frozen=True)
class Rows:
    """Rows to place, in any order. `carried_us` is the start of a carried session, or NEVER_US."""

    key: Ints
    time_us: Ints
    order: Ints
    start: Flags
    end: Flags
    carried_us: Ints

    def first(self, count: int) -> Rows:
        """The first `count` rows."""
        n = count
        ints = self.key[:n], self.time_us[:n], self.order[:n]
        return Rows(*ints, self.start[:n], self.end[:n], self.carried_us[:n])


@dataclass(frozen=True)
class Sessions:
    """Sessions, one per entry; `row` is a row of each. Times in microseconds.

    `ended_us` is NEVER_US while open; `final` says that no event on time can change it, which is so
    from the watermark `closes_us` on; `stays`
    that it is open for what is settled (rows below the watermark), to be carried on, and
    `settled_us` is the last time of those rows.
    """

    row: Ints
    started_us: Ints
    ended_us: Ints
    why: Ints
    settled_us: Ints
    closes_us: Ints
    final: Flags
    stays: Flags


@dataclass(frozen=True)
class Sequenced:
    """`session` is each row's entry in `sessions` or -1; `orphan` marks ends in no session."""

    session: Ints
    orphan: Flags
    sessions: Sessions


def sequence(rows: Rows, timeout_us: int, watermark_us: int) -> Sequenced:
    """Places `rows` in sessions as of a watermark. Arrays of one length in, and out."""
    s = _segments(rows, timeout_us)
    count, opened = len(s.order), s.opens[s.heads]
    # A segment's rows belong to its session up to its first end; repeated starts always.
    upto = np.where(opened, s.first_end, -1)
    outside = np.arange(count, dtype=np.int32) > np.repeat(upto.astype(np.int32), s.lengths)
    if len(s.again):
        outside[s.again] &= ~np.repeat(opened, s.lengths)[s.again]
    placed = np.repeat(np.where(opened, np.cumsum(opened) - 1, -1), s.lengths)
    placed[outside] = -1
    session = np.empty(count, np.int64)
    session[s.order] = placed
    orphan = np.zeros(count, np.bool_)
    orphan[s.order[s.ends[outside[s.ends]]]] = True
    return Sequenced(session, orphan, _sessions(s, rows.carried_us, timeout_us, watermark_us))


@dataclass(frozen=True)
class _Segments:
    """Sorted rows cut into segments, as positions in `order`.

    `again` are starts at the instant of an earlier one, `ends` the ends; `first_end` is by
    segment, and beyond the last row where it has none.
    """

    order: Ints
    key: Ints
    time: Ints
    opens: Flags
    again: Ints
    ends: Ints
    heads: Ints
    lengths: Ints
    first_end: Ints


def _segments(rows: Rows, timeout_us: int) -> _Segments:
    order, key, time = _sorted(rows)
    count = len(order)
    starts = np.flatnonzero(rows.start[order])
    before = starts[:-1], starts[1:]
    repeated = np.zeros(len(starts), np.bool_)
    repeated[1:] = (key[before[0]] == key[before[1]]) & (time[before[0]] == time[before[1]])
    again = starts[repeated]
    end = rows.end[order]
    end[again] = False
    ends = np.flatnonzero(end)
    opens = (rows.carried_us != NEVER_US)[order]
    opens[starts[~repeated]] = True
    cut = opens.copy()
    cut[:1] = True
    cut[1:] |= key[1:] != key[:-1]
    cut[1:] |= np.diff(time) >= timeout_us
    heads = np.flatnonzero(cut)
    first_end = np.full(len(heads), count, np.int64)
    # The last written stays: the first end of each segment.
    first_end[np.searchsorted(heads, ends[::-1], side="right") - 1] = ends[::-1]
    lengths = np.diff(heads, append=count)
    return _Segments(order, key, time, opens, again, ends, heads, lengths, first_end)


def _sessions(s: _Segments, carried_us: Ints, timeout_us: int, watermark_us: int) -> Sessions:
    """The sessions that segments open, in order."""
    heads = s.heads
    tails = heads + s.lengths - 1
    has_end = s.first_end < len(s.time)
    first, last_row = s.time[heads], s.time[tails]
    end_us = np.where(has_end, s.time[np.where(has_end, s.first_end, 0)], NEVER_US)
    last = np.where(has_end, end_us, last_row)
    key = s.key[heads]
    follows = np.zeros(len(heads), np.bool_)
    follows[:-1] = key[1:] == key[:-1]
    next_us = np.full(len(heads), np.iinfo(np.int64).max, np.int64)
    next_us[:-1] = np.where(follows[:-1], first[1:], next_us[:-1])
    lapses = last + timeout_us <= watermark_us
    follower = np.where(next_us - timeout_us >= last, TIMEOUT, RESTART)
    why = np.where(has_end, END, np.where(follows, follower, np.where(lapses, TIMEOUT, OPEN)))
    # What comes at the very moment of an end or a start may still move it.
    closes = np.where(has_end, end_us, np.minimum(next_us, last + timeout_us - 1)) + 1
    final = closes <= watermark_us
    settled = _last_settled(s, first, last_row, watermark_us)
    stays = (
        (settled != NEVER_US)
        & (next_us >= watermark_us)
        & ~(has_end & (end_us < watermark_us))
        & (settled + timeout_us > watermark_us)
    )
    chosen = np.flatnonzero(s.opens[heads])
    row = s.order[heads[chosen]]
    carried = carried_us[row]
    started = np.where(carried != NEVER_US, carried, first[chosen])
    ended = np.where(why == OPEN, NEVER_US, last)
    pick = (ended, why.astype(np.int64), settled, closes)
    ends, reason, settled_us, closes_us = (p[chosen] for p in pick)
    return Sessions(row, started, ends, reason, settled_us, closes_us, final[chosen], stays[chosen])


def _last_settled(s: _Segments, first: Ints, last: Ints, watermark_us: int) -> Ints:
    """The last time below the watermark in each segment, or NEVER_US."""
    settled: Ints = np.where(last < watermark_us, last, NEVER_US)
    astride = (first < watermark_us) & (last >= watermark_us)
    if astride.any():
        lengths = s.lengths[astride]
        times = s.time[np.repeat(astride, s.lengths)]
        times = np.where(times < watermark_us, times, NEVER_US)
        settled[astride] = np.maximum.reduceat(times, np.cumsum(lengths) - lengths)
    return settled


def _sorted(rows: Rows) -> tuple[Ints, Ints, Ints]:
    """Order by key, then time, then `order`; and keys and times in that order."""
    if not len(rows.key):
        none = np.zeros(0, np.int64)
        return none, none, none
    low = int(rows.time_us.min())
    bits = max(1, int(rows.time_us.max() - low).bit_length())
    digits = int(rows.key.max()).bit_length() + bits
    if digits > _PACKED_BITS_MAX:
        order = np.lexsort((rows.order, rows.time_us, rows.key))
        return order, rows.key[order], rows.time_us[order]
    packed = rows.key << bits
    packed |= rows.time_us - low
    order = _by_key(rows.key)
    ordered = packed[order]
    # What a key has is nearly in time: that is quickly put right.
    moved = np.argsort(ordered, kind="stable")
    order, ordered = order[moved], ordered[moved]
    tied = np.flatnonzero(ordered[1:] == ordered[:-1])
    if (rows.order[order[tied]] > rows.order[order[tied + 1]]).any():
        # Rows of one instant: begin with the rows in their order, and keep it.
        first = np.argsort(rows.order, kind="stable")
        order = first[np.argsort(packed[first], kind="stable")]
    key = ordered >> bits
    ordered &= (1 << bits) - 1
    ordered += low
    return order, key, ordered


_PACKED_BITS_MAX = 62
_DIGIT_BITS = 16


def _by_key(numbers: Ints) -> Ints:
    """Stable order of small numbers: NumPy sorts 16 bits of them in time that is linear."""
    order = np.argsort(numbers.astype(np.uint16), kind="stable")
    for shift in range(_DIGIT_BITS, int(numbers.max()).bit_length(), _DIGIT_BITS):
        digit = (numbers >> shift).astype(np.uint16)
        order = order[np.argsort(digit[order], kind="stable")]
    return order
