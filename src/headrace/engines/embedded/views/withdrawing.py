"""What counts as shown before a change, where rows may have to be withdrawn."""

from __future__ import annotations

from dataclasses import replace

from headrace.engines.batch.tolerance import tolerance
from headrace.plan.operators import View


def shown_before(view: View) -> View:
    """The view whose rows are held against those after a change.

    Where floats or sketches decide whether a row is there, another way of adding them up may have
    shown one that the state would not show now. So rows that fail the condition are withdrawn,
    too: a delete of what was never there does no harm, one that is missing would never be mended.
    """
    if view.top is None and tolerance(view).rows:
        return replace(view, having=None)
    return view
