"""Rows to place together: carried sessions, rows that wait, fresh ones; and what became of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from headrace.engines.kernel.sequence import Flags, Ints, Rows, Sequenced, sequence
from headrace.engines.kernel.watermark import NEVER_US


@dataclass(frozen=True)
class Pool:
    """Rows for `sequence`: `carried` sessions, then the rows of a table.

    `record` is the same for the rows of one record. `keys` has by name each row's number, and
    the values that it stands for.
    """

    rows: Rows
    record: Ints
    carried: int
    keys: dict[str, tuple[Ints, pa.Array]]

    def place(self, count: int, timeout_us: int, watermark_us: int) -> Sequenced:
        """Places the first `count` rows as of a watermark."""
        return sequence(self.rows.first(count), timeout_us, watermark_us)

    def keys_of(self, rows: Ints) -> dict[str, pa.Array]:
        """The keys of some rows, by name."""
        return {
            name: pa.DictionaryArray.from_arrays(pa.array(numbers[rows]), values)
            for name, (numbers, values) in self.keys.items()
        }


def pool(carried: pa.Table, rows: pa.Table, keys: Sequence[str]) -> Pool:
    """The pool of carried sessions (`_first`, `_last`) and of rows with their place and marks."""
    first = len(carried)
    count = first + len(rows)

    def values(name: str, before: Ints | int) -> Ints:
        made: Ints = np.empty(count, np.int64)
        made[:first] = before
        _copy(rows.column(name), made[first:])
        return made

    def marked(name: str) -> Flags:
        made: Flags = np.zeros(count, np.bool_)
        _copy(rows.column(name), made[first:])
        return made

    numbered = {k: _numbered(carried.column(k), rows.column(k)) for k in keys}
    last = carried.column("_last").to_numpy()
    record = values("_partition", 0)
    record <<= 40
    record += values("_offset", -1)
    order = record
    if "_pos" in rows.column_names:
        order = np.empty(count, np.int64)
        order[np.lexsort((values("_pos", 0), record))] = np.arange(count)
    carried_us = np.full(count, NEVER_US, np.int64)
    carried_us[:first] = carried.column("_first").to_numpy()
    placed = Rows(
        _codes([n for n, _ in numbered.values()], count),
        values("_us", last),
        order,
        marked("_start"),
        marked("_end"),
        carried_us,
    )
    return Pool(placed, record, first, numbered)


def _copy(column: pa.ChunkedArray, into: NDArray[Any]) -> None:
    at = 0
    for chunk in column.chunks:
        into[at : at + len(chunk)] = chunk.to_numpy(zero_copy_only=False)
        at += len(chunk)


def _numbered(first: pa.ChunkedArray, second: pa.ChunkedArray) -> tuple[Ints, pa.Array]:
    """A number for every distinct value, null one of them, and the values."""
    encoded = pa.chunked_array(
        [*first.chunks, *second.cast(first.type).chunks], first.type
    ).dictionary_encode(null_encoding="encode")
    if not encoded.num_chunks:
        return np.zeros(0, np.int64), pa.array([], first.type)
    # The chunks share their values.
    numbers = [c.indices.to_numpy(zero_copy_only=False) for c in encoded.chunks]
    return np.concatenate(numbers).astype(np.int64), encoded.chunk(
        encoded.num_chunks - 1
    ).dictionary


def _codes(numbers: Sequence[Ints], count: int) -> Ints:
    """A number for every distinct key."""
    if not numbers:
        return np.zeros(count, np.int64)
    codes = numbers[0]
    for more in numbers[1:]:
        codes = codes * (int(more.max(initial=0)) + 1) + more
        codes = np.unique(codes, return_inverse=True)[1].astype(np.int64)
    return codes


@dataclass(frozen=True)
class Difference:
    """What to show: sessions after that may have changed, and sessions before to compare with.

    `closed` are the sessions that became final.
    """

    changed: Flags
    compared: Flags
    closed: Flags


def difference(
    before: Sequenced, after: Sequenced, counted: bool, all_compared: bool
) -> Difference:
    """Compares two placements; `before` is of the first rows of `after`.

    A session before whose row is sure to differ is not to be compared: its end differs, or the
    number of its rows where the row shows it (`counted`). `all_compared` asks for those too.
    """
    b, a, held = before.sessions, after.sessions, len(before.session)
    # The session after of the same key and start, or -1: a start of the same instant may by now
    # stand before the row that opened it.
    heir = after.session[b.row]
    same = heir >= 0
    same[same] = a.started_us[heir[same]] == b.started_us[same]
    heir = np.where(same, heir, -1)
    changed = np.ones(len(a.row) + 1, np.bool_)
    changed[heir[same]] = False
    mine = heir[same]
    differs = (b.ended_us[same] != a.ended_us[mine]) | (b.why[same] != a.why[mine])
    changed[mine[differs]] = True
    # The last entry stands for "no session".
    now = after.session[:held]
    stayed = np.append(heir, -1)[before.session]
    moved = stayed != now
    changed[now[moved]] = True
    changed[stayed[moved]] = True
    changed[after.session[held:]] = True
    sure = np.zeros(len(b.row), np.bool_)
    if not all_compared:
        if counted:
            differs |= _sizes(before)[same] != _sizes(after)[mine]
        sure[same] = differs
    compared = ~same
    compared[same] = changed[mine]
    closed = a.final.copy()
    closed[mine] &= ~b.final[same]
    return Difference(changed[:-1], compared & ~sure, closed)


def _sizes(found: Sequenced) -> Ints:
    """Rows by session; a carried session counts as one."""
    return np.bincount(found.session + 1, minlength=len(found.sessions.row) + 1)[1:]
