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

    `ended_us` is NEVER_US while open; `final` says that no event on time can change it; `stays`
    that it is open for what is settled (rows below the watermark), to be carried on, and
    `settled_us` is the last time of those rows.
    """

    row: Ints
    started_us: Ints
    last_us: Ints
    ended_us: Ints
    why: Ints
    settled_us: Ints
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
    count = len(rows.key)
    order = _sorted(rows)
    key, time = rows.key[order], rows.time_us[order]
    carried = rows.carried_us[order] != NEVER_US
    new_key = np.ones(count, bool)
    new_key[1:] = key[1:] != key[:-1]
    lapsed = np.zeros(count, bool)
    lapsed[1:] = (time[1:] - time[:-1] >= timeout_us) & ~new_key[1:]
    again = _repeated_starts(key, time, rows.start[order])
    start = rows.start[order] & ~again
    end = rows.end[order] & ~again
    opens = start | carried
    heads = np.flatnonzero(new_key | opens | lapsed)
    segment = np.zeros(count, np.int64)
    segment[heads] = 1
    segment = np.cumsum(segment) - 1
    ends_before: Ints = np.cumsum(end) - end
    ended: Flags = ends_before > ends_before[heads][segment]
    inside = opens[heads][segment] & (~ended | again)
    sessions, number = _sessions(
        _Segments(order, key, time, end & inside & ~ended, segment, heads, opens, lapsed),
        rows.carried_us,
        timeout_us,
        watermark_us,
    )
    session = np.full(count, -1, np.int64)
    session[order] = np.where(inside, number[segment], -1)
    orphan = np.zeros(count, bool)
    orphan[order] = end & ~inside
    return Sequenced(session, orphan, sessions)


@dataclass(frozen=True)
class _Segments:
    """Sorted rows cut into segments; `closing` marks the end that closes a session."""

    order: Ints
    key: Ints
    time: Ints
    closing: Flags
    segment: Ints
    heads: Ints
    opens: Flags
    lapsed: Flags


def _sessions(
    s: _Segments, carried_us: Ints, timeout_us: int, watermark_us: int
) -> tuple[Sessions, Ints]:
    """The sessions that segments open, and each segment's number among them (or -1)."""
    count, heads = len(s.time), s.heads
    tails = np.append(heads[1:], count)[: len(heads)] - 1
    end_us = np.full(len(heads), NEVER_US, np.int64)
    closing = np.flatnonzero(s.closing)
    end_us[s.segment[closing]] = s.time[closing]
    has_end = end_us != NEVER_US
    last = np.where(has_end, end_us, s.time[tails])
    follows = np.zeros(len(heads), bool)
    follows[:-1] = s.key[heads[1:]] == s.key[heads[:-1]]
    next_us = np.full(len(heads), np.iinfo(np.int64).max, np.int64)
    next_us[:-1] = np.where(follows[:-1], s.time[heads[1:]], next_us[:-1])
    lapses = last + timeout_us <= watermark_us
    follower = np.where(next_us - timeout_us >= last, TIMEOUT, RESTART)
    why = np.where(has_end, END, np.where(follows, follower, np.where(lapses, TIMEOUT, OPEN)))
    final = np.where(has_end, end_us < watermark_us, (next_us < watermark_us) | lapses)
    opened = s.opens[heads]
    settled = np.where(s.time < watermark_us, s.time, NEVER_US)
    last_settled = np.maximum.reduceat(settled, heads) if count else settled
    stays = (
        (last_settled != NEVER_US)
        & (next_us >= watermark_us)
        & ~(has_end & (end_us < watermark_us))
        & (last_settled + timeout_us > watermark_us)
    )
    chosen = np.flatnonzero(opened)
    number = np.full(len(heads), -1, np.int64)
    number[chosen] = np.arange(len(chosen))
    carried = carried_us[s.order[heads]]
    started = np.where(carried != NEVER_US, carried, s.time[heads])
    ended = np.where(why == OPEN, NEVER_US, last)
    pick = [s.order[heads], started, last, ended, why.astype(np.int64), last_settled]
    row, begun, latest, ends, reason, settled_us = (p[chosen] for p in pick)
    sessions = Sessions(row, begun, latest, ends, reason, settled_us, final[chosen], stays[chosen])
    return sessions, number


def _sorted(rows: Rows) -> Ints:
    """Order by key, then time, then `order`."""
    if not len(rows.key):
        return np.zeros(0, np.int64)
    low = int(rows.time_us.min())
    bits = max(1, int(rows.time_us.max() - low).bit_length())
    digits = int(rows.key.max()).bit_length() + bits
    if digits > _PACKED_BITS_MAX:
        return np.lexsort((rows.order, rows.time_us, rows.key))
    packed = (rows.key << bits) | (rows.time_us - low)
    order = _by_digits(packed, digits)
    ordered, place = packed[order], rows.order[order]
    tied = ordered[1:] == ordered[:-1]
    if (tied & (place[1:] < place[:-1])).any():
        # Rows of one instant: begin with the rows in their order, and keep it.
        first = np.argsort(rows.order, kind="stable")
        order = first[_by_digits(packed[first], digits)]
    return order


_PACKED_BITS_MAX = 62
_DIGIT_BITS = 16


def _by_digits(values: Ints, bits: int) -> Ints:
    """Stable order of numbers of so many bits: NumPy sorts 16 of them in time that is linear."""
    order = np.argsort(values.astype(np.uint16), kind="stable")
    for shift in range(_DIGIT_BITS, bits, _DIGIT_BITS):
        digit = (values >> shift).astype(np.uint16)
        order = order[np.argsort(digit[order], kind="stable")]
    return order


def _repeated_starts(key: Ints, time: Ints, start: Flags) -> Flags:
    """Starts at the very instant of an earlier start of their key."""
    place = np.where(start, np.arange(len(key)), -1)
    before = np.full(len(key), -1, np.int64)
    before[1:] = np.maximum.accumulate(place)[:-1]
    known = before >= 0
    again: Flags = start & known & (key[before] == key) & (time[before] == time)
    return again
