"""Sessions by marks: open sessions by key, and the rows whose place may still change."""

from __future__ import annotations

import duckdb
import numpy as np
import pyarrow as pa

from headrace.engines.embedded.views.batch import (
    Batch,
    Outcome,
    make_state,
    make_temp,
    state_name,
    temp_name,
)
from headrace.engines.embedded.views.placing import Placing, tally
from headrace.engines.kernel import marks, rows
from headrace.engines.kernel.partial import key_names
from headrace.engines.kernel.sequence import WHY, Rows, Sequenced, sequence
from headrace.engines.kernel.watermark import NEVER_US
from headrace.plan.operators import SessionMarks, View
from headrace.values.schema import quote

_OUT, _IN, _ORPHAN = 0, 1, 2


class MarkSessions:
    """Places rows in sessions again whenever a key gets a row, until the watermark settles them."""

    def __init__(self, view: View, columns: tuple[str, ...], wants: frozenset[str]) -> None:
        assert isinstance(view.window, SessionMarks)
        self.view, self.wants, self.timeout_us = view, wants, view.window.timeout_us
        self.placing = Placing(view, columns)
        self.open = state_name(view.name, "open")
        self.pending = state_name(view.name, "pending")
        self.shown = state_name(view.name, "shown")

    def create(self, connection: duckdb.DuckDBPyConnection, relation: str) -> None:
        """Makes the state tables, empty, unless they are there."""
        placed = self.placing.create(connection, relation)
        make_state(connection, self.pending, marks.pending_sql(self.view, placed))
        make_state(connection, self.open, marks.open_sql(self.view, self.pending))
        typed = (
            "select *, null::timestamp as _started, null::timestamp as _ended, "
            f"null::varchar as _why from {self.open}"
        )
        make_state(connection, self.shown, rows.rows_sql(self.view, f"({typed})"))

    def tables(self) -> list[str]:
        return [self.open, self.pending, self.shown, *self.placing.tables()]

    def apply(self, connection: duckdb.DuckDBPyConnection, batch: Batch) -> Outcome:
        """Places an epoch's events, settles what the watermark passed, reports the differences."""
        view, outcome = self.view, Outcome()
        placed = self.placing.rows(connection, batch, keep=True)
        tally(connection, self.placing, placed, None, outcome)
        fresh = self._temp(connection, "fresh", marks.pending_sql(view, placed))
        touched = marks.touched_sql(view, fresh, self.pending, self.open, batch.watermark_us)
        keys = self._temp(connection, "keys", touched)
        mine = marks.of_keys(view, "t", keys)
        carried = self._temp(
            connection,
            "carried",
            f"select -row_number() over () as _id, * from {self.open} t where {mine}",
        )
        pool = (
            f"(select * from {self.pending} t where {mine} union all by name select * from {fresh})"
        )
        placeable = self._temp(
            connection, "placeable", f"select row_number() over () - 1 as _id, * from {pool}"
        )
        found = self._sequence(connection, batch, placeable, carried, outcome)
        sessions = self._states(connection, placeable, carried, found)
        self._report(connection, outcome, sessions, keys)
        self._keep(connection, batch, sessions, placeable, keys)
        connection.unregister("_placed")
        connection.unregister("_sessions")
        return outcome

    def _temp(self, connection: duckdb.DuckDBPyConnection, part: str, sql: str) -> str:
        return make_temp(connection, temp_name(self.view.name, part), sql)

    def _sequence(
        self,
        connection: duckdb.DuckDBPyConnection,
        batch: Batch,
        placeable: str,
        carried: str,
        outcome: Outcome,
    ) -> Sequenced:
        """Runs `sequence`, registers its result as `_placed` and `_sessions`, counts moves."""
        table = connection.sql(marks.arrays_sql(self.view, placeable, carried)).to_arrow_table()
        ids = table.column("_id").to_numpy()
        us = table.column("_us").to_numpy()
        start_us = table.column("_carried").to_numpy()
        found = sequence(
            Rows(
                _codes(table, key_names(self.view)),
                us,
                _order(table),
                _flags(table, "_start"),
                _flags(table, "_end"),
                start_us,
            ),
            self.timeout_us,
            batch.watermark_us,
        )
        inside = found.session >= 0
        now = np.where(inside, _IN, np.where(found.orphan, _ORPHAN, _OUT)).astype(np.int8)
        settled = (us < batch.watermark_us) | (start_us != NEVER_US)
        connection.register(
            "_placed",
            pa.table({"_id": ids, "_session": found.session, "_settled": settled, "_now": now}),
        )
        s = found.sessions
        ended = pa.array(s.ended_us, mask=s.ended_us == NEVER_US)
        why = pa.array([WHY[w] for w in range(4)], pa.string()).take(pa.array(s.why))
        connection.register(
            "_sessions",
            pa.table(
                {
                    "_session": np.arange(len(s.row)),
                    "_id": ids[s.row],
                    "_first": s.started_us,
                    "_last": s.settled_us,
                    "_ended_us": ended,
                    "_why": why,
                    "_final": s.final,
                    "_stays": s.stays,
                }
            ),
        )
        _count_moves(outcome, now, table.column("_was").to_numpy(), ids >= 0, self.placing.explodes)
        return found

    def _states(
        self,
        connection: duckdb.DuckDBPyConnection,
        placeable: str,
        carried: str,
        found: Sequenced,
    ) -> str:
        """The sessions with their aggregate states, as a temporary table."""
        view = self.view
        states = self._temp(
            connection, "states", marks.states_sql(view, placeable, carried, "_placed")
        )
        merged = self._temp(connection, "whole", marks.merged_sql(view, states, "true"))
        keys = "".join(f", {k}" for k in key_names(view))
        keyed = f"(select _id{keys} from {placeable} union all select _id{keys} from {carried})"
        return self._temp(
            connection, "sessions", marks.sessions_sql(view, "_sessions", merged, keyed)
        )

    def _report(
        self, connection: duckdb.DuckDBPyConnection, outcome: Outcome, sessions: str, keys: str
    ) -> None:
        view = self.view
        if "changes" in self.wants:
            shown = self._temp(
                connection, "before", f"select * from {self.shown} t where {self._shown_of(keys)}"
            )
            after = self._temp(connection, "after", rows.rows_sql(view, sessions))
            outcome.changes = self._temp(
                connection, "changes", rows.changed_sql(view, after, shown)
            )
        if "final" in self.wants:
            ended = f"(select * from {sessions} where _final)"
            outcome.finals = self._temp(connection, "finals", rows.upserts_sql(view, ended))

    def _shown_of(self, keys: str) -> str:
        """Condition that a shown row `t` belongs to one of `keys`."""
        pairs = [
            f"t.{quote(k.name)} is not distinct from k.k{i}" for i, k in enumerate(self.view.keys)
        ]
        return f"exists (select 1 from {keys} k where {' and '.join(pairs) or 'true'})"

    def _keep(
        self,
        connection: duckdb.DuckDBPyConnection,
        batch: Batch,
        sessions: str,
        placeable: str,
        keys: str,
    ) -> None:
        """Carries on what stays open, keeps what is pending, forgets what is final."""
        view = self.view
        mine = marks.of_keys(view, "t", keys)
        states = temp_name(view.name, "states")
        settled = self._temp(connection, "settled", marks.merged_sql(view, states, "_settled"))
        connection.execute(f"delete from {self.open} t where {mine}")
        connection.execute(
            f"insert into {self.open} by name {marks.carried_sql(view, sessions, settled)}"
        )
        connection.execute(f"delete from {self.pending} t where {mine}")
        connection.execute(
            f"insert into {self.pending} by name select r.* exclude (_id) replace (p._now as _was) "
            f"from {placeable} r join _placed p on p._id = r._id "
            f"where r._us >= {batch.watermark_us}"
        )
        connection.execute(f"delete from {self.shown} t where {self._shown_of(keys)}")
        going = f"(select * from {sessions} where not _final)"
        connection.execute(f"insert into {self.shown} by name {rows.rows_sql(view, going)}")


def _codes(table: pa.Table, keys: list[str]) -> np.ndarray:
    """A dense number for every distinct key; null is a key like any other."""
    codes = np.zeros(len(table), np.int64)
    for key in keys:
        column = table.column(key).combine_chunks()
        encoded = column.dictionary_encode(null_encoding="encode")
        one = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
        codes = codes * (len(encoded.dictionary) + 1) + one
        if len(keys) > 1:
            codes = np.unique(codes, return_inverse=True)[1].astype(np.int64)
    return codes


def _order(table: pa.Table) -> np.ndarray:
    """The order of rows at one instant of one key: partition, offset, position."""
    order = table.column("_order").to_numpy()
    position = table.column("_pos").to_numpy()
    if not position.any():
        return order
    ranked = np.empty(len(order), np.int64)
    ranked[np.lexsort((position, order))] = np.arange(len(order))
    return ranked


def _flags(table: pa.Table, name: str) -> np.ndarray:
    return table.column(name).to_numpy().astype(bool)


def _count_moves(
    outcome: Outcome, now: np.ndarray, was: np.ndarray, rows_only: np.ndarray, explodes: bool
) -> None:
    """Counts by present placement: rows of earlier epochs may have moved in or out."""
    now, was = now[rows_only], was[rows_only]
    into = int((now == _IN).sum()) - int((was == _IN).sum())
    out = int((now != _IN).sum()) - int(((was == _OUT) | (was == _ORPHAN)).sum())
    orphans = int((now == _ORPHAN).sum()) - int((was == _ORPHAN).sum())
    for counts in (outcome.row_counts,) if explodes else (outcome.row_counts, outcome.counts):
        counts["applied"] = into
        counts["filtered"] = counts.get("filtered", 0) + out
        counts["orphan_ends"] = orphans
