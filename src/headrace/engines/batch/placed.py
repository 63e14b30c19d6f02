"""Rows of a view as its aggregates take them: keys, arguments, and whether they came late.

Keys are `_k0`, …, arguments and filters as `aggregates.inputs` names them, marks `_starts` and
`_ends`; `_late` says that the row's slice of time was closed when its record was read, or that
its record was replayed. A row on which a key or an argument fails is left out here.
"""

from __future__ import annotations

from math import gcd

from headrace.engines.batch.aggregates import inputs
from headrace.engines.batch.relations import Relations, interval, timestamp
from headrace.engines.batch.steps import Rows, stepped, with_values
from headrace.plan.operators import (
    Expression,
    SessionGap,
    SessionMarks,
    Slide,
    Source,
    Tumble,
    View,
    Window,
)


def placed(view: View, source: Source, until: int, relations: Relations) -> Rows:
    """The rows of `view` up to epoch `until`, late ones too."""
    rows = stepped(view.steps, source, until, relations, view.window is not None)
    with_values(rows, _needed(view), ", ".join(rows.own))
    rows.chain.add(f"select *, {_late(view.window)} as _late from {rows.chain.name}")
    return rows


def key_names(view: View) -> list[str]:
    """The columns that hold the view's keys."""
    return [f"_k{i}" for i in range(len(view.keys))]


def slice_start(size_us: int, offset_us: int) -> str:
    """The start of the aligned slice that holds `_time`."""
    return f"time_bucket({interval(size_us)}, _time, {timestamp(offset_us)})"


def _needed(view: View) -> list[tuple[str, Expression]]:
    named = [(name, k.expression) for name, k in zip(key_names(view), view.keys, strict=True)]
    for call in view.aggregates:
        named.extend(inputs(call))
    if isinstance(view.window, SessionMarks):
        named.append(("_starts", view.window.starts))
        if view.window.ends is not None:
            named.append(("_ends", view.window.ends))
    return named


def _late(window: Window | None) -> str:
    match window:
        case None:
            return "false"
        case Tumble(size, offset):
            closed = f"{slice_start(size, offset)} + {interval(size)} <= _closed"
        case Slide(size, every, offset):
            pane = gcd(size, every)
            closed = f"{slice_start(pane, offset)} + {interval(pane)} <= _closed"
        case SessionGap() | SessionMarks():
            closed = "_time < _closed"
    return f"(_replay is not null or coalesce({closed}, false))"
