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
from headrace.engines.embedded.views.withdrawing import shown_before
from headrace.engines.kernel import partial, rows
from headrace.plan.operators import Tumble, View


def passes(batch: Batch, size_us: int, offset_us: int) -> bool:
    """Whether the watermark passes the end of an aligned slice in this epoch."""
    before, after = batch.before_us - offset_us, batch.watermark_us - offset_us
    return before // size_us != after // size_us


class KeyedView:
    """Keeps a state per (window, key), or per key where there is no window."""

    def __init__(self, view: View, columns: tuple[str, ...], wants: frozenset[str]) -> None:
        self.view, self.shown_before = view, shown_before(view)
        self.wants = wants
        self.placing = Placing(view, columns)
        self.columns = ["_slice", *partial.key_names(view)]
        self.withdraws = view.top is not None or view.having is not None
        # With `top` a row hangs on all others of its window.
        self.together = self.columns if view.top is None else ["_slice"]
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
        window = view.window
        closes = isinstance(window, Tumble) and passes(batch, window.size_us, window.offset_us)
        if groups:
            before = self._shown(connection, part, "before", self.shown_before)
            self._merge(connection, part)
            if "changes" in self.wants:
                outcome.changes = self._changes(connection, part, before, closes)
                outcome.upserts = groups if before is None else None
        if closes:
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

    def _merge(self, connection: duckdb.DuckDBPyConnection, part: str) -> None:
        """Merges an epoch's states into those held."""
        connection.execute(partial.merge_into_sql(self.view, part, self.state))

    def _shown(
        self, connection: duckdb.DuckDBPyConnection, part: str, name: str, view: View
    ) -> str | None:
        """The rows now served of what `part` touches; only where rows can be withdrawn."""
        if not self.withdraws:
            return None
        touched = self._touched_by(part, self.together)
        return make_temp(connection, temp_name(view.name, name), rows.rows_sql(view, touched))

    def _touched_by(self, part: str, names: list[str]) -> str:
        """The states that share `names` with one that was applied of `part`."""
        applied = f"(select {', '.join(names)} from {part} where _verdict = 0)"
        on = partial.matches("s", "p", names)
        return f"(select s.* from {self.state} s semi join {applied} p on {on})"

    def _changes(
        self, connection: duckdb.DuckDBPyConnection, part: str, before: str | None, closes: bool
    ) -> str:
        """The relation of changed rows; a table where it must outlive states that `closes` ends."""
        view, name = self.view, temp_name(self.view.name, "changes")
        if before is None:
            states = self._touched_by(part, self.columns)
            sql = rows.upserts_sql(view, states)
            # Hardly ever read twice: a table of its own would cost more than the rows.
            return make_temp(connection, name, sql) if closes else f"({sql})"
        after = self._shown(connection, part, "after", view)
        assert after is not None
        return make_temp(connection, name, rows.changed_sql(view, after, before))

    def _close(self, connection: duckdb.DuckDBPyConnection, batch: Batch, outcome: Outcome) -> None:
        """Drops the windows that the watermark has passed; their rows are final."""
        assert isinstance(self.view.window, Tumble)
        closed = f"_slice + {self.view.window.size_us} <= {batch.watermark_us}"
        if "final" in self.wants:
            ending = f"(select * from {self.state} where {closed})"
            sql = rows.upserts_sql(self.view, ending)
            outcome.finals = make_temp(connection, temp_name(self.view.name, "finals"), sql)
        connection.execute(f"delete from {self.state} where {closed}")
