"""Sessions by marks: open sessions by key, and the rows whose place may still change."""

from __future__ import annotations

import duckdb
import numpy as np
import pyarrow as pa

from headrace.engines.embedded.views.batch import (
    Batch,
    Outcome,
    count,
    make_state,
    make_temp,
    state_name,
    temp_name,
)
from headrace.engines.embedded.views.placing import Placing, tally
from headrace.engines.kernel import marks, rows
from headrace.engines.kernel.partial import key_names
from headrace.engines.kernel.sequence import WHY, Rows, Sessions, sequence
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
        placed = self.placing.rows(connection, batch)
        fresh = connection.sql(marks.fresh_sql(view, placed)).to_arrow_table()
        tally(connection, self.placing, placed, _counted(fresh), outcome)
        connection.register("_fresh", fresh)
        keys = self._keys(connection, batch, len(fresh))
        mine = "true" if keys is None else marks.of_keys(view, keys)
        carried = self._temp(
            connection,
            "carried",
            f"select row_number() over () - 1 as _id, * from {self.open} t where {mine}",
        )
        columns = ", ".join(marks.row_columns(view))
        waiting = connection.sql(
            f"select {columns}, null::bigint as _row, 0 as _verdict from {self.pending} t "
            f"where {mine}"
        ).to_arrow_table()
        pool = pa.concat_tables([waiting, fresh], promote_options="permissive")
        sessions = self._place(connection, batch, pool, carried, outcome)
        self._report(connection, outcome, sessions, keys)
        self._keep(connection, batch, sessions, keys)
        for name in ("_fresh", "_pool", "_carried", "_sessions"):
            connection.unregister(name)
        return outcome

    def _temp(self, connection: duckdb.DuckDBPyConnection, part: str, sql: str) -> str:
        return make_temp(connection, temp_name(self.view.name, part), sql)

    def _keys(
        self, connection: duckdb.DuckDBPyConnection, batch: Batch, fresh_count: int
    ) -> str | None:
        """The keys to look at; None for all, where finding them out would cost more."""
        held = count(connection, self.pending) + count(connection, self.open)
        if fresh_count >= held:
            return None
        touched = marks.touched_sql(
            self.view, "_fresh", self.pending, self.open, batch.watermark_us
        )
        return self._temp(connection, "keys", touched)

    def _place(
        self,
        connection: duckdb.DuckDBPyConnection,
        batch: Batch,
        pool: pa.Table,
        carried: str,
        outcome: Outcome,
    ) -> str:
        """Runs `sequence` over carried sessions and rows; returns sessions with their states."""
        view = self.view
        keys = "".join(f"{k}, " for k in key_names(view))
        held = connection.sql(
            f"select {keys}_id, _first, _last from {carried} order by _id"
        ).to_arrow_table()
        applied = np.flatnonzero(pool.column("_verdict").to_numpy() == 0)
        rows, keyed = _sequence_rows(pool, held, applied, key_names(view))
        found = sequence(rows, self.timeout_us, batch.watermark_us)
        first = len(held)
        session = np.full(len(pool), -1, np.int64)
        session[applied] = found.session[first:]
        now = np.zeros(len(pool), np.int8)
        now[applied] = np.where(
            found.session[first:] >= 0, _IN, np.where(found.orphan[first:], _ORPHAN, _OUT)
        )
        was = pool.column("_was").to_numpy()
        _count_moves(outcome, now[applied], was[applied], self.placing.explodes)
        settled = pool.column("_us").to_numpy() < batch.watermark_us
        for name, column in (("_session", session), ("_settled", settled), ("_now", now)):
            pool = pool.append_column(name, pa.array(column))
        connection.register("_pool", pool)
        ids = pa.table({"_id": np.arange(first), "_session": found.session[:first]})
        connection.register("_carried", ids)
        connection.register("_sessions", _session_table(found.sessions, keyed))
        states = self._temp(
            connection, "states", marks.states_sql(view, "_pool", carried, "_carried")
        )
        merged = self._temp(connection, "whole", marks.merged_sql(view, states, "true"))
        return self._temp(connection, "sessions", marks.sessions_sql(view, "_sessions", merged))

    def _report(
        self,
        connection: duckdb.DuckDBPyConnection,
        outcome: Outcome,
        sessions: str,
        keys: str | None,
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

    def _shown_of(self, keys: str | None) -> str:
        """Condition that a shown row `t` belongs to one of `keys`."""
        if keys is None:
            return "true"
        pairs = [
            f"t.{quote(k.name)} is not distinct from k.k{i}" for i, k in enumerate(self.view.keys)
        ]
        return f"exists (select 1 from {keys} k where {' and '.join(pairs) or 'true'})"

    def _keep(
        self,
        connection: duckdb.DuckDBPyConnection,
        batch: Batch,
        sessions: str,
        keys: str | None,
    ) -> None:
        """Carries on what stays open, keeps what is pending, forgets what is final."""
        view = self.view
        mine = "true" if keys is None else marks.of_keys(view, keys)
        states = temp_name(view.name, "states")
        settled = self._temp(connection, "settled", marks.merged_sql(view, states, "_settled"))
        connection.execute(f"delete from {self.open} t where {mine}")
        connection.execute(
            f"insert into {self.open} by name {marks.carried_sql(view, sessions, settled)}"
        )
        connection.execute(f"delete from {self.pending} t where {mine}")
        names = ", ".join(c for c in marks.row_columns(view) if c != "_was")
        connection.execute(
            f"insert into {self.pending} by name select {names}, _now as _was from _pool "
            f"where _verdict = 0 and _us >= {batch.watermark_us}"
        )
        connection.execute(f"delete from {self.shown} t where {self._shown_of(keys)}")
        going = f"(select * from {sessions} where not _final)"
        connection.execute(f"insert into {self.shown} by name {rows.rows_sql(view, going)}")


def _counted(fresh: pa.Table) -> dict[int, int]:
    """Rows by verdict."""
    values, counts = np.unique(fresh.column("_verdict").to_numpy(), return_counts=True)
    return dict(zip(values.tolist(), counts.tolist(), strict=True))


def _sequence_rows(
    pool: pa.Table, held: pa.Table, applied: np.ndarray, keys: list[str]
) -> tuple[Rows, dict[str, pa.Array]]:
    """Carried sessions, then the applied rows of `pool`, for `sequence`; and their keys."""
    whole = len(applied) == len(pool)
    picked = pool if whole else pool.select(keys).take(pa.array(applied))
    keyed = {
        k: pa.chunked_array(
            held.column(k).chunks + picked.column(k).chunks, picked.column(k).type
        ).combine_chunks()
        for k in keys
    }
    count, first = len(held) + len(applied), len(held)

    def values(name: str, before: np.ndarray | int, kind: type) -> np.ndarray:
        made: np.ndarray = np.empty(count, kind)
        made[:first] = before
        made[first:] = pool.column(name).to_numpy()[applied]
        return made

    carried = np.full(count, NEVER_US, np.int64)
    carried[:first] = held.column("_first").to_numpy()
    order = (values("_partition", 0, np.int64) << 40) + values("_offset", -1, np.int64)
    position = values("_pos", 0, np.int64)
    if position.any():
        ranked = np.empty(count, np.int64)
        ranked[np.lexsort((position, order))] = np.arange(count)
        order = ranked
    rows = Rows(
        _codes(keyed, count),
        values("_us", held.column("_last").to_numpy(), np.int64),
        order,
        values("_start", 0, np.bool_),
        values("_end", 0, np.bool_),
        carried,
    )
    return rows, keyed


def _session_table(sessions: Sessions, keyed: dict[str, pa.Array]) -> pa.Table:
    """What `sequence` found, one row per session, with its key."""
    s = sessions
    why = pa.array([WHY[w] for w in range(4)], pa.string()).take(pa.array(s.why))
    columns = {
        "_session": np.arange(len(s.row)),
        "_first": s.started_us,
        "_last": s.settled_us,
        "_ended_us": pa.array(s.ended_us, mask=s.ended_us == NEVER_US),
        "_why": why,
        "_final": s.final,
        "_stays": s.stays,
    }
    rows = pa.array(s.row)
    return pa.table({**columns, **{k: column.take(rows) for k, column in keyed.items()}})


def _codes(keyed: dict[str, pa.Array], count: int) -> np.ndarray:
    """A number for every distinct key; null is a key like any other."""
    codes = np.zeros(count, np.int64)
    for column in keyed.values():
        encoded = column.dictionary_encode(null_encoding="encode")
        one = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
        codes = codes * (len(encoded.dictionary) + 1) + one
        if len(keyed) > 1:
            codes = np.unique(codes, return_inverse=True)[1].astype(np.int64)
    return codes


def _count_moves(outcome: Outcome, now: np.ndarray, was: np.ndarray, explodes: bool) -> None:
    """Counts by present placement: rows of earlier epochs may have moved in or out."""
    into = int((now == _IN).sum()) - int((was == _IN).sum())
    out = int((now != _IN).sum()) - int(((was == _OUT) | (was == _ORPHAN)).sum())
    orphans = int((now == _ORPHAN).sum()) - int((was == _ORPHAN).sum())
    for counts in (outcome.row_counts,) if explodes else (outcome.row_counts, outcome.counts):
        counts["applied"] = into
        counts["filtered"] = counts.get("filtered", 0) + out
        counts["orphan_ends"] = orphans
