"""The open state of a view, under the names that its definition gives."""

from __future__ import annotations

import re

import pyarrow as pa

from headrace.engines.embedded.runner import JobRunner
from headrace.engines.kernel.aggregates import aggregate_state
from headrace.engines.kernel.partial import key_names
from headrace.plan.operators import AggregateCall, Slide, Tumble, View
from headrace.values.errors import UsageError, did_you_mean
from headrace.values.schema import quote

ENTRIES_MAX = 1_000


def inspected(runner: JobRunner, view: str) -> pa.Table:
    """The open state of a view: its first thousand entries.

    Keys go by their names, windows by their start, a state by the result that it is, else by its
    aggregate. A view without windows has no slices of time.
    """
    views = runner.engine.views
    if view not in views:
        raise UsageError(f"there is no view {view!r}", remedy=did_you_mean(view, views))
    table, plan = views[view].tables()[0], views[view].view
    cursor = runner.store.cursor()
    try:
        columns = cursor.sql(f"select * from {table} limit 0").columns
        shown = {c: (quote(c), c) for c in columns} | _shown(plan)
        left = [shown[c] for c in columns if c != "_slice" or plan.window is not None]
        chosen = ", ".join(f"{sql} as {quote(name)}" for sql, name in left)
        return cursor.sql(f"select {chosen} from {table} limit {ENTRIES_MAX}").to_arrow_table()
    finally:
        cursor.close()


def _shown(view: View) -> dict[str, tuple[str, str]]:
    """By column of the state the SQL that shows it, and the name over it."""
    found = {k: (k, named.name) for k, named in zip(key_names(view), view.keys, strict=True)}
    if isinstance(view.window, Tumble):
        found["_slice"] = ("make_timestamp(_slice)", "window_start")
    elif isinstance(view.window, Slide):
        found["_slice"] = ("make_timestamp(_slice)", "pane_start")
    for call in view.aggregates:
        name = _name(view, call)
        for column in aggregate_state(call).columns:
            part = column.name.removeprefix(call.id).removeprefix("_")
            found[column.name] = (column.name, f"{name} ({part})" if part else name)
    return found


def _name(view: View, call: AggregateCall) -> str:
    """The result that is nothing but this aggregate, else the aggregate in words."""
    alone = re.compile(rf"{call.id}|CAST\({call.id} AS [^()]+\)")
    for result in view.results:
        if alone.fullmatch(result.expression.sql):
            return result.name
    if view.latest:
        return "last row"
    asked = ", ".join([*(a.text for a in call.arguments), *call.constants]) or "*"
    words = f"{call.function.removesuffix('_star')}({'distinct ' * call.distinct}{asked})"
    return words if call.filter is None else f"{words} filter (where {call.filter.text})"
