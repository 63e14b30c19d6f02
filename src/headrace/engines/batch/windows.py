"""Aggregates of tumbling and sliding windows, and running totals: one `group by` each.

A window that a recompute covers takes every event which that recompute read, late ones too; any
other window takes the events that were on time. Of several recomputes the last one counts.
Running totals take everything.
"""

from __future__ import annotations

from collections.abc import Sequence

from headrace.engines.batch.aggregates import aggregate
from headrace.engines.batch.placed import key_names, slice_start
from headrace.engines.batch.relations import AsOf, ends_within, interval, was_read
from headrace.engines.batch.steps import Rows
from headrace.plan.operators import Slide, Tumble, View


def add_totals(view: View, rows: Rows, more: Sequence[str]) -> None:
    """One row per key with the aggregates over all rows; none where there is no row.

    `more` are further aggregates, as SQL with names.
    """
    _group(view, rows, key_names(view), more)


def add_windows(
    view: View, window: Tumble | Slide, rows: Rows, as_of: AsOf, more: Sequence[str]
) -> None:
    """The same by key and window, with `_start` and `_end`."""
    spread = _tumbling(window, rows) if isinstance(window, Tumble) else _sliding(window, rows)
    rows.chain.add(f"select *, _start + {interval(window.size_us)} as _end from ({spread})")
    rows.chain.add(f"select * from {rows.chain.name} where {_counts(as_of)}")
    _group(view, rows, ["_start", "_end", *key_names(view)], more)


def _tumbling(window: Tumble, rows: Rows) -> str:
    start = slice_start(window.size_us, window.offset_us)
    return f"select *, {start} as _start from {rows.chain.name}"


def _sliding(window: Slide, rows: Rows) -> str:
    """Every row once for each window that holds its time."""
    windows = -(-window.size_us // window.every_us)
    latest = slice_start(window.every_us, window.offset_us)
    start = f"{latest} - _back * {interval(window.every_us)}"
    every = f"select *, {start} as _start from {rows.chain.name}, range({windows}) _w(_back)"
    return f"select * from ({every}) where _start + {interval(window.size_us)} > _time"


def _counts(as_of: AsOf) -> str:
    """Condition: the row belongs in its window, given the recomputes."""
    covered = " ".join(
        f"when {ends_within(region, '_end')} then {was_read(region)}"
        for region in reversed(as_of.regions)
    )
    return f"case {covered} else not _late end" if covered else "not _late"


def _group(view: View, rows: Rows, keys: list[str], more: Sequence[str]) -> None:
    calls = [*(aggregate(call, rows.order) for call in view.aggregates), *more]
    grouping = f"group by {', '.join(keys)}" if keys else "having count(*) > 0"
    rows.chain.add(f"select {', '.join([*keys, *calls])} from {rows.chain.name} {grouping}")
