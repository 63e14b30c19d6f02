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
    step_us = window.size_us if isinstance(window, Tumble) else window.every_us
    # Told of each row once, before it is spread: nearly all count in whatever window.
    read = [f"_read{i}" for i in range(len(as_of.regions))]
    told = [f"{slice_start(step_us, window.offset_us)} as _start"]
    told += [f"{was_read(r)} as {name}" for r, name in zip(as_of.regions, read, strict=True)]
    rows.chain.add(f"select *, {', '.join(told)} from {rows.chain.name}")
    always = " and ".join(["not _late", *read])
    rows.chain.add(f"select *, {always} as _always from {rows.chain.name}")
    if isinstance(window, Slide):
        _spread(window, rows)
    end = f"_start + {interval(window.size_us)}"
    counts = f"_always or {_counts(as_of, end)}"
    rows.chain.add(f"select * from {rows.chain.name} where {counts}")
    _group(view, rows, ["_start", *key_names(view)], more)
    rows.chain.add(f"select *, {end} as _end from {rows.chain.name}")


def _spread(window: Slide, rows: Rows) -> None:
    """Every row once for each window that holds its time; `_start` is the latest window's."""
    windows = -(-window.size_us // window.every_us)
    start = f"_start - _back * {interval(window.every_us)} as _start"
    rows.chain.add(
        f"select * exclude (_back) replace ({start}) from {rows.chain.name},"
        f" range({windows}) _w(_back)"
    )
    if window.size_us % window.every_us:
        held = f"_start + {interval(window.size_us)} > _time"
        rows.chain.add(f"select * from {rows.chain.name} where {held}")


def _counts(as_of: AsOf, end: str) -> str:
    """Condition: the row belongs in its window, which ends at `end`, given the recomputes."""
    covered = " ".join(
        f"when {ends_within(region, f'({end})')} then _read{i}"
        for i, region in reversed(list(enumerate(as_of.regions)))
    )
    return f"case {covered} else not _late end" if covered else "not _late"


def _group(view: View, rows: Rows, keys: list[str], more: Sequence[str]) -> None:
    calls = [*(aggregate(call, rows.order) for call in view.aggregates), *more]
    grouping = f"group by {', '.join(keys)}" if keys else "having count(*) > 0"
    rows.chain.add(f"select {', '.join([*keys, *calls])} from {rows.chain.name} {grouping}")
