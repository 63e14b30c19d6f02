"""Tumbling windows and running totals: one state per slice and key."""

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
from headrace.engines.kernel import partial, rows
from headrace.plan.operators import Tumble, View


def passes(batch: Batch, size_us: int, offset_us: int) -> bool:
    """Whether the watermark passes the end of an aligned slice in this epoch."""
    before, after = batch.before_us - offset_us, batch.watermark_us - offset_us
    return before // size_us != after // size_us


class KeyedView:
    """Keeps a state per (window, key), or per key where there is no window."""

    def __init__(self, view: View, columns: tuple[str, ...], wants: frozenset[str]) -> None:
        self.view = view
        self.wants = wants
        self.placing = Placing(view, columns)
        self.state = state_name(view.name)

    def create(self, connection: duckdb.DuckDBPyConnection, relation: str) -> None:
        """Makes the state tables, empty, unless they are there."""
        placed = self.placing.create(connection, relation)
        states = partial.applied_sql(self.view, f"({partial.partial_sql(self.view, placed)})")
        make_state(connection, self.state, states)

    def tables(self) -> list[str]:
        return [self.state, *self.placing.tables()]

    def apply(self, connection: duckdb.DuckDBPyConnection, batch: Batch) -> Outcome:
        """Applies an epoch's events; what changed and what became final is in the outcome."""
        view, outcome = self.view, Outcome()
        part, groups = self._count(connection, batch, outcome)
        if groups:
            before = self._shown(connection, part, "before")
            merged = self._merge(connection, part)
            if "changes" in self.wants:
                self._change(connection, part, merged, before, outcome)
                outcome.upserts = groups if before is None else None
        window = view.window
        if isinstance(window, Tumble) and passes(batch, window.size_us, window.offset_us):
            self._close(connection, batch, outcome)
        return outcome

    def _count(
        self, connection: duckdb.DuckDBPyConnection, batch: Batch, outcome: Outcome
    ) -> tuple[str, int]:
        """Places and counts an epoch's events.

        Returns their states by verdict, slice and key, and how many of those were applied.
        """
        kept = self.placing.kept(batch)
        if kept is None:
            placed = self.placing.rows(connection, batch)
            sql = partial.partial_sql(self.view, placed)
        else:
            placed, sql = kept, partial.applied_partial_sql(self.view, kept)
        part = make_temp(connection, temp_name(self.view.name, "part"), sql)
        rows = connection.execute(
            f"select _verdict, sum(_n)::bigint, count(*) from {part} group by 1"
        ).fetchall()
        counted = {verdict: n for verdict, n, _ in rows}
        left_out = len(batch.events) - sum(counted.values())
        if kept is not None and left_out:
            counted[self.placing.placed.left_out] = left_out
        tally(connection, self.placing, placed, counted, outcome)
        return part, sum(groups for verdict, _, groups in rows if verdict == 0)

    def _merge(self, connection: duckdb.DuckDBPyConnection, part: str) -> str:
        """Merges an epoch's states into those held; returns the new ones of what it touched."""
        sql = partial.merged_with_state_sql(self.view, part, self.state)
        merged = make_temp(connection, temp_name(self.view.name, "merged"), sql)
        self._hold(connection, merged)
        return merged

    def _hold(self, connection: duckdb.DuckDBPyConnection, merged: str) -> None:
        """Puts merged states in place of those that they came from."""
        view = self.view
        names = ["_slice", *partial.key_names(view)]
        states = [c.name for c in partial.state_columns(view)]
        updates = ", ".join(f"{c} = m.{c}" for c in states)
        values = ", ".join(f"m.{c}" for c in [*names, *states])
        connection.execute(
            f"merge into {self.state} s using {merged} m on {partial.matches('s', 'm', names)} "
            f"when matched then update set {updates} when not matched then insert values ({values})"
        )

    def _shown(self, connection: duckdb.DuckDBPyConnection, part: str, name: str) -> str | None:
        """The rows now served of what `part` touches; only where rows can be withdrawn."""
        view = self.view
        if view.top is None and view.having is None:
            return None
        names = ["_slice"] if view.top is not None else ["_slice", *partial.key_names(view)]
        touched = (
            f"(select * from {self.state} s where exists (select 1 from {part} p "
            f"where p._verdict = 0 and {partial.matches('s', 'p', names)}))"
        )
        return make_temp(connection, temp_name(view.name, name), rows.rows_sql(view, touched))

    def _change(
        self,
        connection: duckdb.DuckDBPyConnection,
        part: str,
        merged: str,
        before: str | None,
        outcome: Outcome,
    ) -> None:
        view = self.view
        if before is None:
            # Hardly ever read twice: a table of its own would cost more than the rows.
            outcome.changes = f"({rows.upserts_sql(view, merged)})"
            return
        after = self._shown(connection, part, "after")
        assert after is not None
        name, sql = temp_name(view.name, "changes"), rows.changed_sql(view, after, before)
        outcome.changes = make_temp(connection, name, sql)

    def _close(self, connection: duckdb.DuckDBPyConnection, batch: Batch, outcome: Outcome) -> None:
        """Drops the windows that the watermark has passed; their rows are final."""
        assert isinstance(self.view.window, Tumble)
        closed = f"_slice + {self.view.window.size_us} <= {batch.watermark_us}"
        if "final" in self.wants:
            ending = f"(select * from {self.state} where {closed})"
            sql = rows.upserts_sql(self.view, ending)
            outcome.finals = make_temp(connection, temp_name(self.view.name, "finals"), sql)
        connection.execute(f"delete from {self.state} where {closed}")
