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

All rows of a key, late ones too, fall into *pieces*: slices of time, as long as the gap or timeout,
without an empty one between them. No session reaches from one into the next. Where no row of a
piece is late, and a recompute read all of it before its bound, that recompute finds what is served:
it is computed from the other pieces alone, so that many recomputes cost little more than one. A
bound never lies above the watermark.
"""

from __future__ import annotations

from collections.abc import Sequence

from headrace.engines.batch.members import by_key, keyed, keys_where, length_us
from headrace.engines.batch.placed import key_names
from headrace.engines.batch.relations import AsOf, Region, interval, timestamp, was_read
from headrace.engines.batch.segments import (
    COUNTS,
    add_segments,
    add_segments_on_time,
    read_anew,
)
from headrace.engines.batch.steps import Rows
from headrace.plan.operators import SessionGap, SessionMarks, View


def add_sessions(
    view: View,
    window: SessionGap | SessionMarks,
    rows: Rows,
    as_of: AsOf,
    more: Sequence[str],
    kept: str | None = None,
) -> None:
    """One row per session, with `_ended_by` as of the watermark.

    `more` are further aggregates over the session's rows, as SQL with names; `kept` names the
    result of `segments_on_time`, if somebody has kept it.
    """
    source = rows.chain.name
    read_anew(view, rows)
    on_time = kept or add_segments_on_time(view, window, rows, more)
    served = _followed(view, window, rows, on_time)
    if as_of.regions:
        slices = _touched(view, window, rows, source, as_of)
        which = f"epoch_us(_start) // {length_us(window)} as _slice"
        sliced = rows.chain.add(f"select *, {which} from {served}")
        among = keyed(view, sliced, slices, also=("_slice",))
        untouched = f"select * exclude (_slice) from {sliced} where not {among}"
        served = rows.chain.add(f"select * exclude (_slice) from {sliced} where {among}")
        touched = _sliced(view, window, rows, source, slices)
        for region in as_of.regions:
            read = f"select * from {touched} where {was_read(region)}"
            found = add_segments(view, window, rows, read, more)
            recomputed = _followed(view, window, rows, found)
            served = _replaced(view, rows, served, recomputed, region)
        served = f"({untouched} union all by name select * from {served})"
    rows.chain.add(f"select *, {_ended_by(window, as_of.watermark_us)} as _ended_by from {served}")


def _touched(
    view: View, window: SessionGap | SessionMarks, rows: Rows, source: str, as_of: AsOf
) -> str:
    """Keys and slices of time (`_slice`) of the pieces in which a recompute may change anything."""
    keys, partition = key_names(view), by_key(view)
    changes = " or ".join(
        [
            "_late",
            *(f"(_time < {timestamp(r.bound_us)} and not {was_read(r)})" for r in as_of.regions),
        ]
    )
    by = ", ".join([*keys, "_slice"])
    # Mostly there are none, and nothing is grouped.
    changed = keys_where(view, rows, source, changes)
    slices = rows.chain.add(
        f"select {', '.join([*keys, f'epoch_us(_time) // {length_us(window)} as _slice'])},"
        f" bool_or({changes}) as _changes from {source}"
        f" where {keyed(view, source, changed)} group by {by}"
    )
    apart = rows.chain.add(
        f"select *, coalesce(_slice - lag(_slice) over ({partition}order by _slice) > 1, true)"
        f" as _apart from {slices}"
    )
    pieces = rows.chain.add(
        f"select *, sum(_apart::int) over ({partition}order by _slice rows unbounded preceding)"
        f" as _piece from {apart}"
    )
    judged = rows.chain.add(
        f"select {by}, bool_or(_changes) over ({by_key(view, '_piece')}) as _touched from {pieces}"
    )
    return rows.chain.add(f"select {by} from {judged} where _touched")


def _sliced(
    view: View, window: SessionGap | SessionMarks, rows: Rows, source: str, slices: str
) -> str:
    """The rows of `source`, late ones too, in `slices`."""
    sliced = f"select *, epoch_us(_time) // {length_us(window)} as _slice from {source}"
    among = keyed(view, "_s", slices, also=("_slice",))
    return rows.chain.add(f"select * exclude (_slice) from ({sliced}) _s where {among}")


def settled(as_of_us: int | None) -> str:
    """Condition over a session row: nothing at or after this time can change it."""
    if as_of_us is None:
        return "false"
    time = timestamp(as_of_us)
    return f"(coalesce(least(_ended, _next) < {time}, false) or _lapses <= {time})"


def _followed(view: View, window: SessionGap | SessionMarks, rows: Rows, segments: str) -> str:
    """Sessions with the next of their key, and when they lapse."""
    marks = isinstance(window, SessionMarks)
    following = f"lead(_start) over ({by_key(view)}order by _segment)" if marks else "null"
    gone = ", ".join(["_segment", *COUNTS])
    return rows.chain.add(
        f"select * exclude ({gone}), {following}::timestamp as _next,"
        f" _last + {interval(length_us(window))} as _lapses from {segments}"
        " where _segment is not null"
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
    partition = by_key(view)
    closed = settled(region.bound_us)
    both = rows.chain.add(
        f"select *, {closed} as _settled, case when {closed} then _last else"
        " timestamp 'infinity' end as _reach from"
        f" (select *, 0 as _side from {served} union all by name"
        f" select *, 1 as _side from {recomputed})"
    )
    apart = rows.chain.add(
        f"select *, coalesce(_start > max(_reach) over ({partition}order by _start"
        " rows between unbounded preceding and 1 preceding), true) as _apart"
        f" from {both}"
    )
    islands = rows.chain.add(
        f"select *, sum(_apart::int) over ({partition}order by _start, _apart desc"
        f" rows unbounded preceding) as _island from {apart}"
    )
    inside = "_settled"
    if region.from_us is not None:
        inside += f" and _last > {timestamp(region.from_us)}"
    judged = rows.chain.add(
        f"select *, bool_and({inside}) over ({by_key(view, '_island')}) as _covered from {islands}"
    )
    return rows.chain.add(
        "select * exclude (_settled, _reach, _side, _apart, _island, _covered)"
        f" from {judged} where _side = _covered::int"
    )
