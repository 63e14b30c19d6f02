"""Sessions by marks, the SQL around `sequence`: rows in, states of sessions out.

Held between epochs: one *open* session per key as of what is settled (below the watermark), with
its aggregate states, and the *pending* rows at or above the watermark, whose place may change.
"""

from __future__ import annotations

from headrace.engines.kernel.aggregates import argument, condition
from headrace.engines.kernel.partial import key_names, matches, state_columns
from headrace.plan.operators import SessionMarks, View


def needs(view: View) -> list[str]:
    """The columns that a view's aggregates read from a row, beside its place."""
    names = []
    for call in view.aggregates:
        names += [argument(call, i) for i in range(len(call.arguments))]
        names += [condition(call)] if call.filter is not None else []
    return names


def row_columns(view: View) -> list[str]:
    """The columns of a pending row: keys, place, marks, arguments, `_was` (-1: new)."""
    own = ["_partition", "_offset", "_pos", "_us", "_start", "_end", "_was"]
    return [*key_names(view), *needs(view), *own]


def fresh_sql(view: View, placed: str) -> str:
    """All placed rows as pending ones, with `_row` and `_verdict`: who was not applied is there."""
    assert isinstance(view.window, SessionMarks)
    end = "coalesce(_end, false)" if view.window.ends is not None else "false"
    names = [*key_names(view), *needs(view), "_partition", "_offset", "_pos"]
    return (
        f"select {', '.join(names)}, epoch_us(_time) as _us, coalesce(_start, false) as _start, "
        f"{end} as _end, (-1)::tinyint as _was, _row, _verdict from {placed}"
    )


def pending_sql(view: View, placed: str) -> str:
    """The columns of pending rows, for their types."""
    return f"select {', '.join(row_columns(view))} from ({fresh_sql(view, placed)})"


def open_sql(view: View, pending: str) -> str:
    """The columns of an open session, for their types: keys, `_first`, `_last`, states."""
    states = "".join(f", {c.partial} as {c.name}" for c in state_columns(view))
    named = "".join(f"{k}, " for k in key_names(view))
    groups = f" group by {', '.join(key_names(view))}" if view.keys else ""
    rows = f"(select *, make_timestamp(_us) as _time from {pending})"
    return f"select {named}min(_us) as _first, max(_us) as _last{states} from {rows}{groups}"


def touched_sql(view: View, fresh: str, pending: str, held: str, watermark_us: int) -> str:
    """Keys to look at: those with new rows, rows to settle, or a session that may have lapsed."""
    assert isinstance(view.window, SessionMarks)
    keys = ", ".join(key_names(view)) or "1 as _one"
    lapsed = f"_last + {view.window.timeout_us} <= {watermark_us}"
    return (
        f"select {keys} from {fresh} where _verdict = 0 union "
        f"select {keys} from {pending} where _us < {watermark_us} "
        f"union select {keys} from {held} where {lapsed}"
    )


def of_keys(view: View, keys: str) -> str:
    """Condition that a row `t` belongs to one of `keys`."""
    return f"exists (select 1 from {keys} k where {matches('t', 'k', key_names(view))})"


def states_sql(view: View, rows: str, carried: str, placed: str) -> str:
    """States by session and whether settled, of rows with their `_session` and carried sessions.

    `placed` gives each carried `_id` its `_session`; rows in no session have -1 and are left out.
    """
    columns = state_columns(view)
    partial = "".join(f", {c.partial} as {c.name}" for c in columns)
    held = "".join(f", h.{c.name}" for c in columns)
    timed = f"(select *, make_timestamp(_us) as _time from {rows} where _session >= 0)"
    return (
        f"select _session, _settled{partial} from {timed} group by 1, 2 union all "
        f"select p._session, true{held} from {carried} h join {placed} p on h._id = p._id"
    )


def merged_sql(view: View, states: str, only: str) -> str:
    """One state per session over `states` (rows where `only` holds)."""
    merged = "".join(f", {c.merge} as {c.name}" for c in state_columns(view))
    return f"select _session{merged} from {states} where {only} group by 1"


def sessions_sql(view: View, sessions: str, merged: str) -> str:
    """Session states ready for rows: keys, `_started`, `_ended`, `_why`, states, and flags."""
    keys = "".join(f"s.{k}, " for k in key_names(view))
    states = "".join(f", m.{c.name}" for c in state_columns(view))
    return (
        f"select {keys}make_timestamp(s._first) as _started, "
        f"make_timestamp(s._ended_us) as _ended, "
        f"s._why, s._final, s._first, s._last, s._stays, s._session{states} "
        f"from {sessions} s join {merged} m on m._session = s._session"
    )


def carried_sql(view: View, sessions: str, settled: str) -> str:
    """What stays open below the watermark, as rows of the open state."""
    keys = "".join(f"s.{k}, " for k in key_names(view))
    states = "".join(f", m.{c.name}" for c in state_columns(view))
    return (
        f"select {keys}s._first, s._last{states} from {sessions} s "
        f"join {settled} m on m._session = s._session where s._stays"
    )
