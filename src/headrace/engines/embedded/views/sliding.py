"""Sliding windows: states by pane, shown as windows when asked."""

from __future__ import annotations

import duckdb

from headrace.engines.embedded.views.batch import (
    Batch,
    Outcome,
    make_state,
    make_temp,
    state_name,
    temp_name,
)
from headrace.engines.embedded.views.keyed import KeyedView, passes
from headrace.engines.kernel import panes, partial, rows
from headrace.engines.kernel.place import pane_us
from headrace.plan.operators import Slide, View


class SlidingView(KeyedView):
    """Counts into panes at once; a window's row is made when it is shown.

    What changed since windows were last shown stands in a table of its own, so that showing late
    changes nothing but the moment. Views with `top` or `where` on the result show every epoch.
    """

    def __init__(self, view: View, columns: tuple[str, ...], wants: frozenset[str]) -> None:
        super().__init__(view, columns, wants)
        assert isinstance(view.window, Slide)
        self.window = view.window
        self.changed = state_name(view.name, "changed")
        self.withdraws = view.top is not None or view.having is not None

    def create(self, connection: duckdb.DuckDBPyConnection, relation: str) -> None:
        super().create(connection, relation)
        keys = ", ".join(["_slice", *partial.key_names(self.view)])
        make_state(connection, self.changed, f"select {keys} from {self.state}")

    def tables(self) -> list[str]:
        return [*super().tables(), self.changed]

    def apply(self, connection: duckdb.DuckDBPyConnection, batch: Batch) -> Outcome:
        outcome = Outcome()
        part, groups = self._count(connection, batch, outcome)
        before = None
        if groups:
            self._mark_changed(connection, part)
            if self.withdraws:
                touched = self._touched(connection, "touched")
                before = self._rows(connection, touched, "before", self.shown_before)
            self._merge(connection, part)
        closes = passes(batch, *pane_us(self.window))
        if "changes" not in self.wants:
            connection.execute(f"delete from {self.changed}")
        elif batch.emit or closes or before is not None:
            outcome.changes = self._show(connection, before)
        if closes:
            self._close(connection, batch, outcome)
        return outcome

    def _mark_changed(self, connection: duckdb.DuckDBPyConnection, part: str) -> None:
        keys = ", ".join(["_slice", *partial.key_names(self.view)])
        connection.execute(
            f"insert into {self.changed} select distinct {keys} from {part} where _verdict = 0"
        )

    def _touched(self, connection: duckdb.DuckDBPyConnection, name: str) -> str:
        """The windows of what changed; with `top`, all keys of those windows."""
        view = self.view
        if view.top is None:
            sql = panes.touched_sql(view, self.changed)
        else:
            starts = panes.windows_of(view, "_slice")
            windows = f"select distinct unnest({starts}) as _slice from {self.changed}"
            held = f"(select * from {self.state} union all by name select * from {self.changed})"
            sql = (
                f"select * from ({panes.touched_sql(view, held)}) t "
                f"where _slice in (select _slice from ({windows}))"
            )
        return make_temp(connection, temp_name(view.name, name), sql)

    def _rows(
        self, connection: duckdb.DuckDBPyConnection, wanted: str, name: str, view: View
    ) -> str:
        states = f"({panes.combined_sql(view, self.state, wanted)})"
        return make_temp(connection, temp_name(view.name, name), rows.rows_sql(view, states))

    def _show(self, connection: duckdb.DuckDBPyConnection, before: str | None) -> str:
        view, name = self.view, temp_name(self.view.name, "changes")
        wanted = self._touched(connection, "touched")
        after = self._rows(connection, wanted, "after", view)
        sql = f"select 'u' as _op, * from {after}"
        if before is not None:
            sql = rows.changed_sql(view, after, before)
        make_temp(connection, name, sql)
        connection.execute(f"delete from {self.changed}")
        return name

    def _close(self, connection: duckdb.DuckDBPyConnection, batch: Batch, outcome: Outcome) -> None:
        view, watermark = self.view, batch.watermark_us
        if "final" in self.wants:
            wanted = make_temp(
                connection,
                temp_name(view.name, "ending"),
                f"select * from ({panes.touched_sql(view, self.state)}) where _slice + "
                f"{self.window.size_us} between {batch.before_us + 1} and {watermark}",
            )
            states = f"({panes.combined_sql(view, self.state, wanted)})"
            sql = rows.upserts_sql(view, states)
            outcome.finals = make_temp(connection, temp_name(view.name, "finals"), sql)
        ends = panes.last_end_sql(view, "_slice")
        connection.execute(f"delete from {self.state} where {ends} <= {watermark}")
