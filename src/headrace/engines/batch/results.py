"""From aggregates to the rows of a view as served: results, conditions, rankings, columns."""

from __future__ import annotations

from collections.abc import Sequence

from headrace.engines.batch.doubtful import MARKS, add_marks, holds
from headrace.engines.batch.placed import key_names
from headrace.engines.batch.relations import Chain
from headrace.plan.operators import SessionGap, SessionMarks, Slide, Tumble, View
from headrace.values.schema import quote

_OF_WINDOW = {"window_start": "_start", "window_end": "_end"}
_OF_SESSION = {
    "session_start_time": "_start",
    "session_end_time": "case when _ended_by is not null then _last end",
    "session_duration_seconds": "case when _ended_by is not null"
    " then (epoch_us(_last) - epoch_us(_start)) / 1e6 end",
    "ended_by": "_ended_by",
}


def add_results(
    view: View, chain: Chain, kept: Sequence[str] = (), moved: Sequence[str] = ()
) -> None:
    """The served rows with exactly the view's columns, and `kept` internal ones behind them.

    With what `doubtful.add_moved` made, all candidates, marked.
    """
    made = _window_columns(view)
    made |= {k.name: f for k, f in zip(view.keys, key_names(view), strict=True)}
    for result in view.results:
        sql = f"({result.expression.sql})"
        made[result.name] = f"try({sql})" if result.expression.can_fail else sql
    columns = [f"{sql} as {quote(name)}" for name, sql in made.items()]
    chain.add(f"select {', '.join([*columns, *kept, *moved])} from {chain.name}")
    groups, order = _ranking(view)
    if moved:
        kept = [*kept, *MARKS]
        add_marks(view, chain, moved, groups, order)
    else:
        if view.having is not None:
            chain.add(f"select * from {chain.name} where {holds(view.having)}")
        if view.top is not None:
            by = f"partition by {', '.join(groups)} " if groups else ""
            chain.add(
                f"select *, row_number() over ({by}order by {order}) as rank from {chain.name}"
            )
            chain.add(f"select * from {chain.name} where rank <= {view.top.count}")
    typed = [f"try_cast({quote(c.name)} as {c.type}) as {quote(c.name)}" for c in view.columns]
    chain.add(f"select {', '.join([*typed, *kept])} from {chain.name}")


def _window_columns(view: View) -> dict[str, str]:
    match view.window:
        case Tumble() | Slide():
            return dict(_OF_WINDOW)
        case SessionGap() | SessionMarks():
            return dict(_OF_SESSION)
    return {}


def _ranking(view: View) -> tuple[list[str], str]:
    """The columns within which a view ranks, and by what; ties go to the lowest row key."""
    if view.top is None:
        return [], ""
    groups = [quote(name) for name in view.top.per]
    if isinstance(view.window, Tumble | Slide):
        groups.insert(0, "window_start")
    keys = [quote(name) for name in view.key_columns]
    return groups, ", ".join([f"{quote(view.top.by)} desc nulls last", *(f"{k} asc" for k in keys)])
