"""States to the rows that a view serves: columns named and in order, ranked, filtered.

And the difference between what is shown and what should be: upserts and deletes.
"""

from __future__ import annotations

from collections.abc import Sequence

from headrace.engines.kernel.partial import finals_sql, key_names, matches, result_name
from headrace.plan.operators import SessionGap, SessionMarks, Slide, Tumble, View
from headrace.values.schema import quote

SESSION = ("_started", "_ended", "_why")
CLOSES = "_closes"
"""With a final session: the least watermark, in microseconds, as of which it is closed."""


def rows_sql(view: View, states: str, own: Sequence[str] = ()) -> str:
    """SELECT of the view's columns, in order, and `_failed`, over states by slice and key.

    For windows `_slice` is the window's start; session states carry `_started`,
    `_ended` (times, the end null while open) and `_why`. Columns `own` of them pass.
    """
    identity = [*key_names(view)]
    identity += list(SESSION) if _is_session(view) else ["_slice"]
    inner = finals_sql(view, states, [*identity, *own])
    made = _made(view)
    served = [c.name for c in view.columns if not (view.top is not None and c.name == "rank")]
    listed = ", ".join(f"{made[n]} as {quote(n)}" for n in served)
    rows = f"select {', '.join([listed, '_failed', *own])} from ({inner})"
    if view.having is not None:
        rows = f"select * from ({rows}) where {_safe_condition(view)}"
    if view.top is not None:
        rows = _ranked(view, rows, own)
    return rows


def _is_session(view: View) -> bool:
    return isinstance(view.window, SessionGap | SessionMarks)


def _made(view: View) -> dict[str, str]:
    """The columns of a row by name, as SQL over what `finals_sql` gives."""
    made = {k.name: f"k{i}" for i, k in enumerate(view.keys)}
    made |= {result.name: result_name(i) for i, result in enumerate(view.results)}
    if isinstance(view.window, Tumble | Slide):
        made["window_start"] = "make_timestamp(_slice)"
        made["window_end"] = f"make_timestamp(_slice + {view.window.size_us})"
    elif _is_session(view):
        made["session_start_time"] = "_started"
        made["session_end_time"] = "_ended"
        made["session_duration_seconds"] = "(epoch_us(_ended) - epoch_us(_started)) / 1e6"
        made["ended_by"] = "_why"
    return made


def _safe_condition(view: View) -> str:
    assert view.having is not None
    sql = f"({view.having.sql})"
    return f"coalesce(try({sql}), false)" if view.having.can_fail else sql


def _ranked(view: View, rows: str, own: Sequence[str]) -> str:
    """The first n of each window and group: descending, nulls last, ties by the row's key."""
    top = view.top
    assert top is not None
    groups = ["window_start"] if isinstance(view.window, Tumble | Slide) else []
    groups += list(top.per)
    order = ", ".join(
        [f"{quote(top.by)} desc nulls last", *(f"{t} asc nulls last" for t in row_key(view))]
    )
    part = f"partition by {', '.join(quote(g) for g in groups)} " if groups else ""
    names = ", ".join(
        f"_rank as {quote(c.name)}" if c.name == "rank" else quote(c.name) for c in view.columns
    )
    ranked = f"select *, row_number() over ({part}order by {order}) as _rank from ({rows})"
    passed = ", ".join([names, "_failed", *own])
    return f"select {passed} from ({ranked}) where _rank <= {top.count}"


def row_key(view: View) -> list[str]:
    """Quoted key columns of the view's row."""
    return [quote(name) for name in view.key_columns]


def changed_sql(view: View, new: str, shown: str) -> str:
    """What turns the relation `shown` into `new`: `_op` ('u' or 'd'), the columns, `_failed`.

    A row that is the same in both is left out; a deleted row comes with the values it had.
    """
    names = [quote(c.name) for c in view.columns]
    columns = ", ".join(names)
    key, same = matches("n", "s", row_key(view)), matches("n", "s", names)
    return (
        f"select 'd' as _op, {columns}, 0 as _failed from {shown} s where not exists "
        f"(select 1 from {new} n where {key}) union all "
        f"select 'u' as _op, {columns}, _failed from {new} n where not exists "
        f"(select 1 from {shown} s where {same})"
    )


def upserts_sql(view: View, states: str, own: Sequence[str] = ()) -> str:
    """The rows of `states` as changes: every one an upsert; columns `own` of them pass."""
    return f"select 'u' as _op, * from ({rows_sql(view, states, own)})"
