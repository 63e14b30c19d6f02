"""Sessions by marks, the SQL around `sequence`: rows in, states of sessions out.

Held between epochs: one *open* session per key as of what is settled (below the watermark), with
its aggregate states, and the *pending* rows at or above the watermark, whose place may change.
"""

from __future__ import annotations

from headrace.engines.kernel.aggregates import argument, condition
from headrace.engines.kernel.partial import key_names, matches, state_columns
from headrace.engines.kernel.watermark import NEVER_US
from headrace.plan.operators import SessionMarks, View


def needs(view: View) -> list[str]:
    """The columns that a view's aggregates read from a row, beside its place."""
    names = []
    for call in view.aggregates:
        names += [argument(call, i) for i in range(len(call.arguments))]
        names += [condition(call)] if call.filter is not None else []
    return names


def pending_sql(view: View, placed: str) -> str:
    """Applied rows as pending ones: keys, `_us`, place, marks, arguments, `_was` (-1: new)."""
    assert isinstance(view.window, SessionMarks)
    end = "coalesce(_end, false)" if view.window.ends is not None else "false"
    names = [*key_names(view), "_partition", "_offset", "_pos", *needs(view)]
    return (
        f"select {', '.join(names)}, _time, epoch_us(_time) as _us, "
        f"coalesce(_start, false) as _start, {end} as _end, (-1)::tinyint as _was "
        f"from {placed} where _verdict = 0"
    )


def open_sql(view: View, pending: str) -> str:
    """The columns of an open session, for their types: keys, `_first`, `_last`, states."""
    states = "".join(f", {c.partial} as {c.name}" for c in state_columns(view))
    named = "".join(f"{k}, " for k in key_names(view))
    groups = f" group by {', '.join(key_names(view))}" if view.keys else ""
    return f"select {named}min(_us) as _first, max(_us) as _last{states} from {pending}{groups}"


def touched_sql(view: View, fresh: str, pending: str, held: str, watermark_us: int) -> str:
    """Keys to look at: those with new rows, rows to settle, or a session that may have lapsed."""
    assert isinstance(view.window, SessionMarks)
    keys = ", ".join(key_names(view)) or "1 as _one"
    lapsed = f"_last + {view.window.timeout_us} <= {watermark_us}"
    return (
        f"select {keys} from {fresh} union select {keys} from {pending} where _us < {watermark_us} "
        f"union select {keys} from {held} where {lapsed}"
    )


def of_keys(view: View, table: str, keys: str) -> str:
    """Condition that a row `t` of `table` belongs to one of `keys`."""
    return f"exists (select 1 from {keys} k where {matches('t', 'k', key_names(view))})"


def arrays_sql(view: View, rows: str, carried: str) -> str:
    """What `sequence` needs, one row each: a dense key number, time, order, marks, the carried start.

    Rows come in the order of `rows` (a table with `_id`), carried sessions (negative `_id`) too.
    """
    keys = key_names(view)
    order = "(_partition::bigint << 40) + _offset"
    named = "".join(f", {k}" for k in keys)
    return (
        f"select _id{named}, _us, {order} as _order, _pos, _start, _end, _was, "
        f"{NEVER_US} as _carried from {rows} union all "
        f"select _id{named}, _last as _us, -1 as _order, 0 as _pos, false, false, (-1)::tinyint, "
        f"_first as _carried from {carried}"
    )


def states_sql(view: View, rows: str, carried: str, placed: str) -> str:
    """States by session and whether settled, from rows and carried sessions.

    `placed` gives each `_id` its `_session`; rows without one are left out.
    """
    columns = state_columns(view)
    partial = "".join(f", {c.partial} as {c.name}" for c in columns)
    held = "".join(f", h.{c.name}" for c in columns)
    return (
        f"select p._session, p._settled{partial} from {rows} r join {placed} p on r._id = p._id "
        f"where p._session >= 0 group by 1, 2 union all "
        f"select p._session, true{held} from {carried} h join {placed} p on h._id = p._id"
    )


def merged_sql(view: View, states: str, only: str) -> str:
    """One state per session over `states` (rows where `only` holds)."""
    merged = "".join(f", {c.merge} as {c.name}" for c in state_columns(view))
    return f"select _session{merged} from {states} where {only} group by 1"


def sessions_sql(view: View, sessions: str, merged: str, keyed: str) -> str:
    """Session states ready for rows: keys, `_started`, `_ended`, `_why`, states, and flags."""
    keys = "".join(f"r.{k}, " for k in key_names(view))
    states = "".join(f", m.{c.name}" for c in state_columns(view))
    return (
        f"select {keys}make_timestamp(s._first) as _started, make_timestamp(s._ended_us) as _ended, "
        f"s._why, s._final, s._first, s._last, s._stays, s._session{states} "
        f"from {sessions} s join {merged} m on m._session = s._session "
        f"join {keyed} r on r._id = s._id"
    )


def carried_sql(view: View, sessions: str, settled: str) -> str:
    """What stays open below the watermark, as rows of the open state."""
    keys = "".join(f"s.{k}, " for k in key_names(view))
    states = "".join(f", m.{c.name}" for c in state_columns(view))
    return (
        f"select {keys}s._first, s._last{states} from {sessions} s "
        f"join {settled} m on m._session = s._session where s._stays"
    )
