"""Sessions by marks, the SQL around `sequence`: rows in, states of sessions out.

Held between epochs: the *open* sessions by key as of the last time that state was settled, with
their aggregate states, and the *pending* rows since: those at or above the watermark, whose place
may change, and those below it that are not settled yet. Where a row stands follows from both.
"""

from __future__ import annotations

from headrace.engines.kernel import verdicts
from headrace.engines.kernel.aggregates import argument, condition
from headrace.engines.kernel.partial import key_names, matches, state_columns
from headrace.engines.kernel.rows import changed_sql, rows_sql
from headrace.plan.operators import Explode, SessionMarks, View


def needs(view: View) -> list[str]:
    """The columns that a view's aggregates read from a row, beside its place."""
    names = []
    for call in view.aggregates:
        names += [argument(call, i) for i in range(len(call.arguments))]
        names += [condition(call)] if call.filter is not None else []
    return names


def explodes(view: View) -> bool:
    """Whether a record may become several rows."""
    return any(isinstance(step, Explode) for step in view.steps)


def row_columns(view: View) -> list[str]:
    """The columns of a pending row: keys, arguments, place, marks.

    Where records become several rows also `_rest`, the rank of the record's verdict without its
    rows in sessions.
    """
    own = ["_partition", "_offset", "_pos", "_us", "_start", "_end"]
    return [*key_names(view), *needs(view), *own, *(["_rest"] if explodes(view) else [])]


def fresh_sql(view: View, placed: str, bucket: str) -> str:
    """All placed rows as pending ones, with `_verdict`: who was not applied is there too."""
    assert isinstance(view.window, SessionMarks)
    end = "coalesce(_end, false)" if view.window.ends is not None else "false"
    names = [*key_names(view), *needs(view), "_partition", "_offset", "_pos"]
    rest = ""
    if explodes(view):
        filtered = f"case when _verdict = 0 then 1 else {verdicts.RECORD_RANK_SQL} end"
        rest = f", (max({filtered}) over (partition by _row))::tinyint as _rest"
    return (
        f"select {', '.join(names)}, epoch_us(_time) as _us, coalesce(_start, false) as _start, "
        f"{end} as _end, {bucket} as _bucket{rest}, _verdict from {placed}"
    )


def pending_sql(view: View, placed: str) -> str:
    """The columns of pending rows, for their types."""
    return f"select {', '.join(row_columns(view))} from ({fresh_sql(view, placed, '0')})"


def open_sql(view: View, pending: str) -> str:
    """The columns of an open session, for their types: keys, `_first`, `_last`, states."""
    states = "".join(f", {c.partial} as {c.name}" for c in state_columns(view))
    named = "".join(f"{k}, " for k in key_names(view))
    groups = f" group by {', '.join(key_names(view))}" if view.keys else ""
    rows = f"(select *, make_timestamp(_us) as _time from {pending})"
    return f"select {named}min(_us) as _first, max(_us) as _last{states} from {rows}{groups}"


def only_counts(view: View) -> bool:
    """Whether every aggregate is the plain number of rows, which the placing gives away."""
    return all(c.function == "count_star" and c.filter is None for c in view.aggregates)


def shows_count(view: View) -> bool:
    """Whether a row shows how many rows its session has."""
    counts = {c.id for c in view.aggregates if c.function == "count_star" and c.filter is None}
    return any(result.expression.sql in counts for result in view.results)


def carried_sql(view: View, carried: str, types: dict[str, str] | None, held: str) -> str:
    """`_session` and states of the relation `carried`, which has them itself, to be cast to
    `types`; without types it has the keys by which they stand in `held`.
    """
    names = [c.name for c in state_columns(view)]
    if types is not None:
        cast = "".join(f", {n}::{types[n]} as {n}" for n in names)
        return f"select _session{cast} from {carried}"
    states = "".join(f", h.{n}" for n in names)
    on = matches("c", "h", key_names(view))
    return f"select c._session{states} from {carried} c join {held} h on {on}"


def states_sql(view: View, rows: str, carried: str | None) -> str:
    """One state per session of rows with their `_session`, and of carried sessions if any.

    Rows in no session have -1 and are left out.
    """
    columns = state_columns(view)
    partial = "".join(f", {c.partial} as {c.name}" for c in columns)
    timed = f"(select *, make_timestamp(_us) as _time from {rows} where _session >= 0)"
    fresh = f"select _session{partial} from {timed} group by 1"
    if carried is None:
        return fresh
    merged = "".join(f", {c.merge} as {c.name}" for c in columns)
    return f"select _session{merged} from ({fresh} union all {carried}) group by 1"


def with_states_sql(view: View, sessions: str, states: str) -> str:
    """The relation `sessions` with the states of each."""
    listed = "".join(f", m.{c.name}" for c in state_columns(view))
    return f"select s.*{listed} from {sessions} s join ({states}) m on m._session = s._session"


def changes_sql(view: View, sessions: str, compared: bool) -> str:
    """Changes of rows from sessions with states: `_after` or, where `compared`, before."""
    after = rows_sql(view, f"(select * from {sessions} where _after and _changed)")
    if not compared:
        return f"select 'u' as _op, * from ({after})"
    before = rows_sql(view, f"(select * from {sessions} where not _after)")
    changed = changed_sql(view, "_new", "_shown")
    return f"with _new as materialized ({after}), _shown as materialized ({before}) {changed}"
