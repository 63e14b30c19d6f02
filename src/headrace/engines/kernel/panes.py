"""Sliding windows over panes: which windows a pane belongs to, and their states.

A pane is as long as the greatest common divisor of size and step, so every event is counted once;
a window's state is that of its panes merged.
"""

from __future__ import annotations

from headrace.engines.kernel.partial import key_names, matches, merge_sql, state_columns
from headrace.engines.kernel.place import pane_us, slice_sql
from headrace.plan.operators import Slide, View


def windows_of(view: View, pane: str) -> str:
    """SQL list of the starts of all windows that hold the pane which starts at `pane`."""
    window = view.window
    assert isinstance(window, Slide)
    size, _ = pane_us(window)
    low = f"({pane} + {size - window.size_us + window.every_us - 1})"
    first = slice_sql(low, window.every_us, window.offset_us)
    last = slice_sql(pane, window.every_us, window.offset_us)
    return f"range({first}, {last} + 1, {window.every_us})"


def last_end_sql(view: View, pane: str) -> str:
    """When the last window that holds a pane ends: until then the pane must be kept."""
    window = view.window
    assert isinstance(window, Slide)
    return f"({slice_sql(pane, window.every_us, window.offset_us)} + {window.size_us})"


def touched_sql(view: View, panes: str) -> str:
    """The (window, key) pairs that hold any of `panes` (columns `_slice` and keys)."""
    keys = "".join(f", {k}" for k in key_names(view))
    return f"select distinct unnest({windows_of(view, '_slice')}) as _slice{keys} from {panes}"


def combined_sql(view: View, panes: str, wanted: str) -> str:
    """States of the windows in `wanted` (`_slice` and keys), merged from `panes`."""
    keys = key_names(view)
    columns = "".join(f", {c}" for c in [*keys, *(s.name for s in state_columns(view))])
    spread = f"select unnest({windows_of(view, '_slice')}) as _slice{columns} from {panes}"
    chosen = (
        f"select * from ({spread}) s where exists "
        f"(select 1 from {wanted} w where {matches('s', 'w', ['_slice', *keys])})"
    )
    return merge_sql(view, f"({chosen})")
