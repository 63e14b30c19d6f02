"""Sessions by a gap: open intervals by key."""

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
from headrace.engines.embedded.views.placing import Placing, tally
from headrace.engines.embedded.views.withdrawing import shown_before
from headrace.engines.kernel import gaps, partial, rows
from headrace.plan.operators import SessionGap, View


class GapSessions:
    """Keeps the intervals that an event on time could still join."""

    def __init__(self, view: View, columns: tuple[str, ...], wants: frozenset[str]) -> None:
        assert isinstance(view.window, SessionGap)
        self.view, self.wants, self.gap_us = view, wants, view.window.gap_us
        self.placing = Placing(view, columns)
        self.state = state_name(view.name)

    def create(self, connection: duckdb.DuckDBPyConnection, relation: str) -> None:
        """Makes the state tables, empty, unless they are there."""
        placed = self.placing.create(connection, relation)
        make_state(connection, self.state, gaps.intervals_sql(self.view, placed))

    def tables(self) -> list[str]:
        return [self.state, *self.placing.tables()]

    def apply(self, connection: duckdb.DuckDBPyConnection, batch: Batch) -> Outcome:
        """Joins an epoch's events with the open sessions and closes those that are over."""
        view, outcome = self.view, Outcome()
        placed = self.placing.rows(connection, batch, keep=True)
        tally(connection, self.placing, placed, None, outcome)
        fresh = make_temp(
            connection, temp_name(view.name, "fresh"), gaps.intervals_sql(view, placed)
        )
        keys = partial.key_names(view)
        over = f"_last + {self.gap_us} <= {batch.watermark_us}"
        held = make_temp(
            connection,
            temp_name(view.name, "held"),
            f"select * from {self.state} s where {over} or exists "
            f"(select 1 from {fresh} f where {partial.matches('s', 'f', keys)})",
        )
        connection.execute(
            f"delete from {self.state} s where {over} or exists "
            f"(select 1 from {fresh} f where {partial.matches('s', 'f', keys)})"
        )
        pool = f"(select * from {fresh} union all by name select * from {held})"
        joined = make_temp(connection, temp_name(view.name, "joined"), gaps.joined_sql(view, pool))
        connection.execute(
            f"insert into {self.state} by name select * from {joined} where not ({over})"
        )
        self._report(connection, batch, outcome, held, joined)
        return outcome

    def _report(
        self,
        connection: duckdb.DuckDBPyConnection,
        batch: Batch,
        outcome: Outcome,
        held: str,
        joined: str,
    ) -> None:
        view = self.view
        after = f"({gaps.ended_sql(view, joined, batch.watermark_us)})"
        if "changes" in self.wants:
            shown = f"({gaps.ended_sql(view, held, batch.before_us)})"
            before = rows.rows_sql(shown_before(view), shown)
            old = make_temp(connection, temp_name(view.name, "before"), before)
            new = make_temp(connection, temp_name(view.name, "after"), rows.rows_sql(view, after))
            sql = rows.changed_sql(view, new, old)
            outcome.changes = make_temp(connection, temp_name(view.name, "changes"), sql)
        if "final" in self.wants:
            ended = f"(select * from {after} where _ended is not null)"
            sql = rows.upserts_sql(view, ended, [rows.CLOSES])
            outcome.finals = make_temp(connection, temp_name(view.name, "finals"), sql)
