"""Sessions of the rows of a view, and what recomputes make of them (semantics, sections 5 and 7).

A session row has the keys, the aggregates, `_start`, `_last` (its end event, else its last event),
`_ended` (its end event), `_next` (the next start of its key), `_lapses` (when the gap or timeout
after `_last` is over) and `_lapsed` (an event of its key stands at or behind that).

A session is *settled* as of a time T when no event at or after T can change it: its end event or
the next start lies before T, or it lapses at or before T.

A recompute with the bound B computes all sessions of the events that it read, late ones too. In
each key they and the sessions served so far form *islands*: sessions whose spans [start, last]
touch; one that is not settled as of B spans all that follows. An island in which every session,
served or recomputed, is settled as of B and ends after the region's `from` is covered: its
recomputed sessions replace its served ones. Any other island touches something open, or something
outside the region, and stays as it was served. Recomputes apply one after the other.

All rows of a key, late ones too, fall into *pieces*, the gap or timeout or more apart. No session
reaches from one into the next. Where no row of a piece is late, and a recompute read all of it
before its bound, that recompute finds what is served: it is computed from the other pieces alone,
so that many recomputes cost little more than one. A bound never lies above the watermark.
"""

from __future__ import annotations

from collections.abc import Sequence

from headrace.engines.batch.aggregates import aggregate
from headrace.engines.batch.placed import key_names
from headrace.engines.batch.relations import AsOf, Region, interval, timestamp, was_read
from headrace.engines.batch.steps import Rows
from headrace.plan.operators import SessionGap, SessionMarks, View

MEMBER = "_member"
"""Condition: the row is in the session of its segment."""


def add_sessions(
    view: View,
    window: SessionGap | SessionMarks,
    rows: Rows,
    as_of: AsOf,
    more: Sequence[str],
) -> None:
    """One row per session, with `_ended_by` as of the watermark.

    `more` are further aggregates over the session's rows, as SQL with names.
    """
    source = _with_pieces(view, window, rows, as_of) if as_of.regions else rows.chain.name
    on_time = f"select * from {source} where not _late"
    kept = ["bool_or(_touched) filter (where _member) as _touched"] if as_of.regions else []
    served = _sessions(view, window, rows, on_time, [*more, *kept])
    if as_of.regions:
        untouched = f"select * from {served} where not _touched"
        served = rows.chain.add(f"select * from {served} where _touched")
        for region in as_of.regions:
            read = f"select * from {source} where _touched and {was_read(region)}"
            recomputed = _sessions(view, window, rows, read, [*more, *kept])
            served = _replaced(view, rows, served, recomputed, region)
        served = f"({untouched} union all by name select * from {served})"
    rows.chain.add(f"select *, {_ended_by(window, as_of.watermark_us)} as _ended_by from {served}")


def _with_pieces(view: View, window: SessionGap | SessionMarks, rows: Rows, as_of: AsOf) -> str:
    """All rows with `_touched`: whether a recompute may change anything in their piece."""
    by_key = _by_key(view)
    apart = rows.chain.add(
        f"select *, coalesce(_time - lag(_time) over ({by_key}order by _time)"
        f" >= {interval(_length_us(window))}, true) as _apart from {rows.chain.name}"
    )
    pieces = rows.chain.add(
        f"select * exclude (_apart), sum(_apart::int) over ({by_key}order by _time, _apart desc"
        f" rows unbounded preceding) as _piece from {apart}"
    )
    by_piece = f"{by_key}{',' if by_key else 'partition by'} _piece"
    changes = " or ".join(
        [
            "_late",
            *(f"(_time < {timestamp(r.bound_us)} and not {was_read(r)})" for r in as_of.regions),
        ]
    )
    return rows.chain.add(
        f"select * exclude (_piece), bool_or({changes}) over ({by_piece}) as _touched from {pieces}"
    )


def settled(as_of_us: int | None) -> str:
    """Condition over a session row: nothing at or after this time can change it."""
    if as_of_us is None:
        return "false"
    time = timestamp(as_of_us)
    return f"(coalesce(least(_ended, _next) < {time}, false) or _lapses <= {time})"


def add_members(view: View, window: SessionGap | SessionMarks, rows: Rows, select: str) -> str:
    """Rows of `select` with `_segment`, `_ends` and `_member`: which session, if any."""
    by_key, order = _by_key(view), ", ".join(rows.order)
    return (
        _gap_members(window, rows, select, by_key, order)
        if isinstance(window, SessionGap)
        else _mark_members(window, rows, select, by_key, order)
    )


def _gap_members(window: SessionGap, rows: Rows, select: str, by_key: str, order: str) -> str:
    """Every row is in a session; one that stands a gap or more behind the last begins another."""
    gap = interval(window.gap_us)
    begun = rows.chain.add(
        f"select *, coalesce(_time - lag(_time) over ({by_key}order by {order}) >= {gap}, true)"
        f" as _opens from ({select})"
    )
    return rows.chain.add(
        f"select *, sum(_opens::int) over ({by_key}order by {order} rows unbounded preceding)"
        f" as _segment, false as _ends, true as _member, false as _lapse from {begun}"
    )


def _mark_members(window: SessionMarks, rows: Rows, select: str, by_key: str, order: str) -> str:
    """A segment is what stands from one opening start to the next; its rows are members until
    an end or a lapse. A start at the instant of an earlier one is an ordinary row of its session.

    So the instant of the last start tells segments of a key apart; null: there was none. All of it
    takes two sorts.
    """
    ends = "coalesce(_ends, false)" if window.ends is not None else "false"
    last_start = f"max(_time) filter (where _starts) over ({by_key}order by {order} rows"
    marked = rows.chain.add(
        f"select * replace (coalesce(_starts, false) as _starts)"
        f"{'' if window.ends is not None else ', false as _ends'},"
        f" lag(_time) over ({by_key}order by {order}) as _before,"
        f" {last_start} between unbounded preceding and 1 preceding) as _started,"
        f" {last_start} unbounded preceding) as _segment from ({select})"
    )
    again = "_starts and _started is not distinct from _time"
    cut = rows.chain.add(
        f"select * replace ({ends} and not ({again}) as _ends), {again} as _again from {marked}"
    )
    in_segment = f"{by_key}{',' if by_key else 'partition by'} _segment order by {order} rows"
    followed = rows.chain.add(
        f"select *, bool_or(not (_starts and not _again)"
        f" and _time - _before >= {interval(window.timeout_us)})"
        f" over ({in_segment} unbounded preceding) as _lapse,"
        f" coalesce(bool_or(_ends) over"
        f" ({in_segment} between unbounded preceding and 1 preceding), false) as _done"
        f" from {cut}"
    )
    return rows.chain.add(
        "select *, _segment is not null and not coalesce(_lapse, false) and (not _done or _again)"
        f" as _member from {followed}"
    )


def _sessions(
    view: View,
    window: SessionGap | SessionMarks,
    rows: Rows,
    select: str,
    more: Sequence[str],
) -> str:
    """The sessions of the rows of `select`."""
    members = add_members(view, window, rows, select)
    keys = key_names(view)
    calls = [*(aggregate(call, rows.order, [MEMBER]) for call in view.aggregates), *more]
    times = [
        "min(_time) as _start",
        "max(_time) filter (where _member) as _last",
        "min(_time) filter (where _member and _ends) as _ended",
        "coalesce(bool_or(_lapse), false) as _lapsed",
    ]
    by = ", ".join([*keys, "_segment"])
    grouped = rows.chain.add(
        f"select {', '.join([*keys, '_segment', *times, *calls])} from {members}"
        f" where _segment is not null group by {by}"
    )
    by_key = _by_key(view)
    marks = isinstance(window, SessionMarks)
    following = f"lead(_start) over ({by_key}order by _segment)" if marks else "null::timestamp"
    return rows.chain.add(
        f"select * exclude (_segment), {following} as _next,"
        f" _last + {interval(_length_us(window))} as _lapses from {grouped}"
    )


def _ended_by(window: SessionGap | SessionMarks, watermark_us: int | None) -> str:
    over = f"_lapses <= {timestamp(watermark_us)}" if watermark_us is not None else "false"
    if isinstance(window, SessionGap):
        return f"case when {over} then 'gap' end"
    return (
        "case when _ended is not null then 'end' when _next < _lapses then 'restart'"
        f" when _next is not null or _lapsed or {over} then 'timeout' end"
    )


def _replaced(view: View, rows: Rows, served: str, recomputed: str, region: Region) -> str:
    """The sessions served once `region`, with its `recomputed` ones, is applied to `served`."""
    by_key = _by_key(view)
    closed = settled(region.bound_us)
    both = rows.chain.add(
        f"select *, {closed} as _settled, case when {closed} then _last else"
        " timestamp 'infinity' end as _reach from"
        f" (select *, 0 as _side from {served} union all by name"
        f" select *, 1 as _side from {recomputed})"
    )
    apart = rows.chain.add(
        f"select *, coalesce(_start > max(_reach) over ({by_key}order by _start"
        " rows between unbounded preceding and 1 preceding), true) as _apart"
        f" from {both}"
    )
    islands = rows.chain.add(
        f"select *, sum(_apart::int) over ({by_key}order by _start, _apart desc"
        f" rows unbounded preceding) as _island from {apart}"
    )
    inside = "_settled"
    if region.from_us is not None:
        inside += f" and _last > {timestamp(region.from_us)}"
    by_island = f"{by_key}{',' if by_key else 'partition by'} _island"
    judged = rows.chain.add(
        f"select *, bool_and({inside}) over ({by_island}) as _covered from {islands}"
    )
    return rows.chain.add(
        "select * exclude (_settled, _reach, _side, _apart, _island, _covered)"
        f" from {judged} where _side = _covered::int"
    )


def _by_key(view: View) -> str:
    keys = key_names(view)
    return f"partition by {', '.join(keys)} " if keys else ""


def _length_us(window: SessionGap | SessionMarks) -> int:
    return window.timeout_us if isinstance(window, SessionMarks) else window.gap_us
