"""Sessions by marks, the SQL around `sequence`: rows in, states of sessions out.

Held between epochs: the *open* sessions by key as of the last time that state was settled, with
their aggregate states, and the *pending* rows since: those at or above the watermark, whose place
may change, and those below it that are not settled yet. Where a row stands follows from both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from headrace.engines.kernel import verdicts
from headrace.engines.kernel.aggregates import argument, condition
from headrace.engines.kernel.partial import key_names, matches, state_columns
from headrace.engines.kernel.rows import changed_sql, rows_sql, upserts_sql
from headrace.plan.operators import Explode, Expression, Filter, SessionMarks, View
from headrace.values.schema import quote


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

    Where records become several rows also the place among them, and `_rest`, the rank of the
    record's verdict without its rows in sessions.
    """
    several = ["_pos", "_rest"] if explodes(view) else []
    own = ["_partition", "_offset", "_us", "_start", "_end"]
    return [*key_names(view), *needs(view), *own, *several]


def passed(view: View, columns: Sequence[str]) -> dict[str, str]:
    """The columns of a pending row that are columns of the event, whatever becomes of it.

    They need not be computed, as long as each event is one row.
    """
    if not all(isinstance(step, Filter) for step in view.steps):
        return {}
    read = _expressions(view)
    plain = {name: e.columns[0] for name, e in read if len(e.columns) == 1 and _is_column(e)}
    own = {"_partition": "_partition", "_offset": "_offset", "_us": "_time"}
    return own | {name: column for name, column in plain.items() if column in columns}


def _expressions(view: View) -> list[tuple[str, Expression]]:
    """What keys and aggregates read, by the names of the columns of a row."""
    named = [(f"k{i}", k.expression) for i, k in enumerate(view.keys)]
    for call in view.aggregates:
        named += [(argument(call, i), e) for i, e in enumerate(call.arguments)]
        if call.filter is not None:
            named.append((condition(call), call.filter))
    return named


def _is_column(expression: Expression) -> bool:
    return expression.sql in (expression.columns[0], quote(expression.columns[0]))


Bucket = Callable[[Sequence[str]], str]
"""The bucket of a row, as SQL, by the SQL of its keys."""


def fresh_sql(view: View, placed: str, names: Sequence[str], bucket: Bucket) -> str:
    """All placed rows as pending ones, columns `names`: who was not applied is there too.

    `_bucket` may be among them.
    """
    assert isinstance(view.window, SessionMarks)
    filtered = f"case when _verdict = 0 then 1 else {verdicts.RECORD_RANK_SQL} end"
    made = {
        "_us": "epoch_us(_time)",
        "_start": "coalesce(_start, false)",
        "_end": "coalesce(_end, false)" if view.window.ends is not None else "false",
        "_rest": f"(max({filtered}) over (partition by _row))::tinyint",
        "_bucket": bucket(key_names(view)),
    }
    return f"select {', '.join(f'{made.get(n, n)} as {n}' for n in names)} from {placed}"


def direct_sql(view: View, events: str, names: Sequence[str], bucket: Bucket) -> str | None:
    """The same straight from the events, where no step and no failure comes between; else None."""
    assert isinstance(view.window, SessionMarks)
    marks = {"_start": view.window.starts}
    if view.window.ends is not None:
        marks["_end"] = view.window.ends
    read = {**dict(_expressions(view)), **marks}
    if view.steps or any(e.can_fail for e in read.values()):
        return None
    made = {name: f"({e.sql})" for name, e in read.items()}
    late = verdicts.code(verdicts.LATE)
    closed = "epoch_us(_time) < _closed or _replay is not null"
    own = {
        "_us": "epoch_us(_time)",
        "_start": f"coalesce({made['_start']}, false)",
        "_end": f"coalesce({made['_end']}, false)" if "_end" in made else "false",
        "_verdict": f"case when {closed} then {late} else 0 end",
        "_bucket": bucket([made[k] for k in key_names(view)]),
    }
    made |= own
    return f"select {', '.join(f'{made.get(n, n)} as {n}' for n in names)} from {events}"


def pending_sql(view: View, placed: str) -> str:
    """The columns of pending rows, for their types."""
    return fresh_sql(view, placed, row_columns(view), lambda keys: "0")


def open_sql(view: View, pending: str) -> str:
    """The columns of an open session, for their types: keys, `_first`, `_last`, states."""
    states = "".join(f", {c.partial} as {c.name}" for c in state_columns(view))
    named = "".join(f"{k}, " for k in key_names(view))
    groups = f" group by {', '.join(key_names(view))}" if view.keys else ""
    rows = _timed(view, pending)
    return f"select {named}min(_us) as _first, max(_us) as _last{states} from {rows}{groups}"


def _timed(view: View, rows: str) -> str:
    """Pending rows as aggregates read them."""
    position = "" if explodes(view) else ", 0::bigint as _pos"
    return f"(select *, make_timestamp(_us) as _time{position} from {rows})"


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
    fresh = f"select _session{partial} from {_timed(view, rows)} where _session >= 0 group by 1"
    if carried is None:
        return fresh
    merged = "".join(f", {c.merge} as {c.name}" for c in columns)
    return f"select _session{merged} from ({fresh} union all {carried}) group by 1"


def with_states_sql(view: View, sessions: str, states: str) -> str:
    """The relation `sessions` with the states of each."""
    listed = "".join(f", m.{c.name}" for c in state_columns(view))
    return f"select s.*{listed} from {sessions} s join ({states}) m on m._session = s._session"


def changes_sql(view: View, sessions: str, compared: View | None, closed: bool) -> str:
    """Changes of rows from sessions with states: `_after` or, of the view `compared`, before.

    `closed` says that some are there that closed and did not change.
    """
    if compared is None and not closed:
        return upserts_sql(view, sessions)
    after = rows_sql(view, f"(select * from {sessions} where _after and _changed)")
    if compared is None:
        return f"select 'u' as _op, * from ({after})"
    before = rows_sql(compared, f"(select * from {sessions} where not _after)")
    changed = changed_sql(view, "_new", "_shown")
    return f"with _new as materialized ({after}), _shown as materialized ({before}) {changed}"
