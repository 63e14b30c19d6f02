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
    changes nothing but the moment. Where rows may have to be withdrawn, by `top` or by `where` on
    the result, those that were shown of it stand in another.
    """

    def __init__(self, view: View, columns: tuple[str, ...], wants: frozenset[str]) -> None:
        super().__init__(view, columns, wants)
        assert isinstance(view.window, Slide)
        self.window = view.window
        self.changed, self.shown = (state_name(view.name, p) for p in ("changed", "shown"))
        self._panes = ", ".join(self.columns)

    def create(self, connection: duckdb.DuckDBPyConnection, relation: str) -> None:
        super().create(connection, relation)
        make_state(connection, self.changed, f"select {self._panes} from {self.state}")
        if self.withdraws:
            make_state(connection, self.shown, rows.rows_sql(self.view, self.state))

    def tables(self) -> list[str]:
        return [*super().tables(), self.changed, *([self.shown] if self.withdraws else [])]

    def apply(self, connection: duckdb.DuckDBPyConnection, batch: Batch) -> Outcome:
        outcome = Outcome()
        part, groups = self._count(connection, batch, outcome)
        if groups:
            if self.withdraws and "changes" in self.wants:
                self._keep_shown(connection, part)
            self._mark_changed(connection, part)
            self._merge(connection, part)
        closes = passes(batch, *pane_us(self.window))
        if "changes" not in self.wants:
            connection.execute(f"delete from {self.changed}")
        elif batch.emit or closes:
            outcome.changes = self._show(connection)
        if closes:
            self._close(connection, batch, outcome)
        return outcome

    def _mark_changed(self, connection: duckdb.DuckDBPyConnection, part: str) -> None:
        applied = f"from {part} where _verdict = 0"
        connection.execute(f"insert into {self.changed} select distinct {self._panes} {applied}")

    def _keep_shown(self, connection: duckdb.DuckDBPyConnection, part: str) -> None:
        """Keeps the rows that are shown of what `part` is the first to change since they were.

        Of that the state is still what it was then.
        """
        applied = f"(select * from {part} where _verdict = 0)"
        on = partial.matches("t", "c", self.together)
        first = (
            f"select t.* from ({self._touched_sql(applied)}) t "
            f"anti join ({self._touched_sql(self.changed)}) c on {on}"
        )
        touched = make_temp(connection, temp_name(self.view.name, "touched"), first)
        before = self._rows(connection, touched, "before", self.shown_before)
        connection.execute(f"insert into {self.shown} from {before}")

    def _touched_sql(self, changed: str) -> str:
        """The windows of the panes `changed`; with `top`, all keys of those windows."""
        view = self.view
        if view.top is None:
            return panes.touched_sql(view, changed)
        starts = panes.windows_of(view, "_slice")
        windows = f"select distinct unnest({starts}) as _slice from {changed}"
        panes_of = f"select {self._panes} from"
        held = f"({panes_of} {self.state} union all {panes_of} {changed})"
        return (
            f"select * from ({panes.touched_sql(view, held)}) t "
            f"where _slice in (select _slice from ({windows}))"
        )

    def _rows(
        self, connection: duckdb.DuckDBPyConnection, wanted: str, name: str, view: View
    ) -> str:
        states = f"({panes.combined_sql(view, self.state, wanted)})"
        return make_temp(connection, temp_name(view.name, name), rows.rows_sql(view, states))

    def _show(self, connection: duckdb.DuckDBPyConnection) -> str:
        view, name = self.view, temp_name(self.view.name, "changes")
        sql = self._touched_sql(self.changed)
        wanted = make_temp(connection, temp_name(view.name, "touched"), sql)
        after = self._rows(connection, wanted, "after", view)
        sql = f"select 'u' as _op, * from {after}"
        if self.withdraws:
            sql = rows.changed_sql(view, after, self.shown)
        make_temp(connection, name, sql)
        connection.execute(f"delete from {self.changed}")
        if self.withdraws:
            connection.execute(f"delete from {self.shown}")
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
