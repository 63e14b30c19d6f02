"""Segments of the rows of a view: its sessions, and what became of the rows.

One row per key and segment (see members): the keys, `_segment`, the times and aggregates of the
session, and how many `_rows` there are, how many of them are its `_members`, and how many are
`_orphans`, ends of nothing. Rows ahead of the first start of a key have no session: `_segment` is
null.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from headrace.engines.batch.aggregates import aggregate
from headrace.engines.batch.allowances import scales
from headrace.engines.batch.members import (
    MEMBER,
    add_members,
    add_quick_members,
    keyed,
    keys_where,
)
from headrace.engines.batch.placed import key_names, placed
from headrace.engines.batch.relations import Query, Relations
from headrace.engines.batch.steps import Rows
from headrace.plan.operators import SessionGap, SessionMarks, Source, View, has_dedupe

_SORTED_ROWS, _MOST_SHARES = 2_000_000, 16
"""Rows that a sort need not bring to disk; shares, each of which reads all of the events."""

COUNTS = ("_rows", "_members", "_orphans")
_COUNTED = (
    "count(*) as _rows",
    f"count(*) filter (where {MEMBER}) as _members",
    f"count(*) filter (where _ends and not {MEMBER}) as _orphans",
)


def segments_on_time(
    view: View,
    source: Source,
    until: int,
    relations: Relations,
    *,
    allowances: bool,
    count: int,
    sorted_rows: int = _SORTED_ROWS,
) -> Iterator[Query]:
    """The segments of the rows on time, to be kept for `Relations.segments`, share by share.

    Each is of other keys, so many that of `count` rows about `sorted_rows` are sorted at once.
    """
    assert isinstance(view.window, SessionGap | SessionMarks)
    shares = max(1, min(-(-count // sorted_rows), _MOST_SHARES))
    if not view.keys or has_dedupe(view):  # Each share would look for all duplicates again.
        shares = 1
    for nth in range(shares):
        rows = placed(view, source, until, relations)
        read_anew(view, rows)
        among = f"hash({', '.join(key_names(view))}) % {shares} = {nth}" if shares > 1 else "true"
        more = further(view, allowances)
        found = add_segments_on_time(view, view.window, rows, more, among)
        yield rows.chain.ending(f"select * from {found}")


def further(view: View, allowances: bool) -> list[str]:
    """The aggregates that allowances take, beside the view's own."""
    return scales(view, [MEMBER]) if allowances else []


def add_segments_on_time(
    view: View,
    window: SessionGap | SessionMarks,
    rows: Rows,
    more: Sequence[str],
    among: str = "true",
) -> str:
    """The segments of the rows on time; `more` are further aggregates, as SQL with names.

    Of the keys alone for which the condition `among` holds.
    """
    return add_segments(
        view, window, rows, f"select * from {rows.chain.name} where not _late and {among}", more
    )


def read_anew(view: View, rows: Rows) -> None:
    """Lets whatever reads `rows` compute them again: that costs less than to keep them."""
    if not has_dedupe(view):
        rows.chain.repeat()


def add_segments(
    view: View,
    window: SessionGap | SessionMarks,
    rows: Rows,
    select: str,
    more: Sequence[str],
) -> str:
    """The segments of the rows of `select`."""
    if isinstance(window, SessionGap):
        return _grouped(view, rows, add_members(view, window, rows, select), more)
    quick = add_quick_members(view, window, rows, select)
    found = _grouped(view, rows, quick, [*more, "bool_or(_unclear) as _unclear"])
    unclear = keys_where(view, rows, found, "_unclear")
    again = f"select * from ({select}) _s where {keyed(view, '_s', unclear)}"
    exact = _grouped(view, rows, add_members(view, window, rows, again), more)
    return rows.chain.add(
        f"select * exclude (_unclear) from {found} where not {keyed(view, found, unclear)}"
        f" union all by name select * from {exact}"
    )


def _grouped(view: View, rows: Rows, members: str, more: Sequence[str]) -> str:
    keys = key_names(view)
    calls = [*(aggregate(call, rows.order, [MEMBER]) for call in view.aggregates), *more]
    times = [
        "min(_time) as _start",
        "max(_time) filter (where _member) as _last",
        "min(_time) filter (where _member and _ends) as _ended",
        "coalesce(bool_or(_lapse), false) as _lapsed",
    ]
    by = [*keys, "_segment"]
    return rows.chain.add(
        f"select {', '.join([*by, *times, *_COUNTED, *calls])} from {members}"
        f" group by {', '.join(by)}"
    )
