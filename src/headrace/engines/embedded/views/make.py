"""Which machinery keeps which view."""

from __future__ import annotations

from typing import Protocol

import duckdb

from headrace.engines.embedded.views.batch import Batch, Outcome
from headrace.engines.embedded.views.gap_sessions import GapSessions
from headrace.engines.embedded.views.keyed import KeyedView
from headrace.engines.embedded.views.mark_sessions import MarkSessions
from headrace.engines.embedded.views.sliding import SlidingView
from headrace.plan.operators import SessionGap, SessionMarks, Slide, View


class ViewState(Protocol):
    """A view's state inside the state database."""

    view: View

    def create(self, connection: duckdb.DuckDBPyConnection, relation: str) -> None:
        """Makes the tables; `relation` is an empty relation with the source's columns."""

    def tables(self) -> list[str]:
        """The tables that hold the state."""

    def apply(self, connection: duckdb.DuckDBPyConnection, batch: Batch) -> Outcome:
        """Applies the events of one epoch."""


def view_state(view: View, columns: tuple[str, ...], wants: frozenset[str]) -> ViewState:
    """The state of `view` over events with `columns`; `wants` holds "changes", "final" or both."""
    if isinstance(view.window, Slide):
        return SlidingView(view, columns, wants)
    if isinstance(view.window, SessionGap):
        return GapSessions(view, columns, wants)
    if isinstance(view.window, SessionMarks):
        return MarkSessions(view, columns, wants)
    return KeyedView(view, columns, wants)
