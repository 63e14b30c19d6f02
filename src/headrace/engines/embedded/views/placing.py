"""Runs a view's or stream's steps over an epoch's events, and counts what became of them."""

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
from headrace.engines.kernel import dedupe, verdicts
from headrace.engines.kernel.place import Placed, place
from headrace.plan.operators import Dedupe, Explode, Stream, View


class Placing:
    """The steps of one view or stream, with the memories of its dedupes."""

    def __init__(self, reader: View | Stream, columns: tuple[str, ...]) -> None:
        self.reader = reader
        self.placed: Placed = place(reader, columns)
        self.explodes = any(isinstance(s, Explode) for s in reader.steps)
        self._dedupes = [s for s in reader.steps if isinstance(s, Dedupe)]
        # Below which times each memory holds nothing, by partition, as far as is known.
        self._bounds: dict[str, dict[int, int]] = {}

    @property
    def cheap(self) -> bool:
        """Whether the rows may be computed twice instead of being kept."""
        return self.placed.simple and not self.explodes

    def create(self, connection: duckdb.DuckDBPyConnection, relation: str) -> str:
        """Makes the memories of the dedupes, unless they are there; returns rows for their types.

        `relation` must be empty.
        """
        rows = relation
        self._bounds = {}
        for i, segment in enumerate(self.placed.segments):
            sql = segment.over.sql(rows)
            if segment.dedupe is None:
                return make_temp(connection, temp_name(self.reader.name, "rows"), sql)
            make_state(connection, self._memory(i), dedupe.memory_sql(f"({sql})"))
            rows = f"(select * exclude ({dedupe.KEY}) from ({sql}))"
        raise AssertionError("the last segment has no dedupe")

    def tables(self) -> list[str]:
        """The state tables that `create` makes."""
        return [self._memory(i) for i in range(len(self._dedupes))]

    def rows(self, connection: duckdb.DuckDBPyConnection, batch: Batch, keep: bool = False) -> str:
        """The relation of placed rows; a temporary table unless cheap to compute again."""
        rows = batch.relation
        for i, segment in enumerate(self.placed.segments):
            sql = segment.over.sql(rows)
            if segment.dedupe is not None:
                rows = self._deduped(connection, batch, i, segment.dedupe, sql)
            elif self.cheap and not keep:
                return f"({sql})"
            else:
                rows = make_temp(connection, temp_name(self.reader.name, "rows"), sql)
        return rows

    def kept(self, batch: Batch) -> str | None:
        """The rows that are applied, where one filter alone decides; None where others do too."""
        if self.placed.kept is None or batch.late_possible:
            return None
        return f"({self.placed.kept.sql(batch.relation)})"

    def _memory(self, index: int) -> str:
        return state_name(self.reader.name, f"seen{index}")

    def _deduped(
        self, connection: duckdb.DuckDBPyConnection, batch: Batch, i: int, step: Dedupe, sql: str
    ) -> str:
        memory = self._memory(i)

        def made(role: str, sql: str) -> str:
            return make_temp(connection, temp_name(self.reader.name, f"{role}{i}"), sql)

        before = made("before", sql)
        fresh = made("fresh", dedupe.fresh_sql(before))
        held = made("held", dedupe.held_sql(fresh, memory))
        duplicates = made("duplicates", dedupe.duplicates_sql(step, before, fresh, held))
        connection.execute(dedupe.forget_sql(memory, held))
        connection.execute(f"insert into {memory} {dedupe.remembered_sql(fresh, held)}")
        if step.within_us is not None:
            self._expire(connection, memory, batch, step.within_us)
        return f"({dedupe.judged_sql(before, duplicates)})"

    def _expire(
        self, connection: duckdb.DuckDBPyConnection, memory: str, batch: Batch, within_us: int
    ) -> None:
        """Forgets what no later row can match; only where something can have come to lie there."""
        back_us = batch.lateness_us + within_us
        bounds = {partition: us - back_us for partition, us in batch.greatest_us.items()}
        if bounds and (batch.late_possible or self._bounds.get(memory) != bounds):
            connection.execute(dedupe.expired_sql(memory, bounds))
            self._bounds[memory] = bounds


def tally(
    connection: duckdb.DuckDBPyConnection,
    placing: Placing,
    rows: str,
    counted: dict[int, int] | None,
    outcome: Outcome,
) -> None:
    """Fills in the counts, the late rows and the failures of an epoch.

    `counted` are rows by verdict where they are known already.
    """
    if counted is None:
        sql = f"select _verdict, count(*) from {rows} group by 1"
        counted = dict(connection.execute(sql).fetchall())
    by_kind: dict[str, int] = {}
    for verdict, rows_count in counted.items():
        name = verdicts.NAMES[verdicts.kind_of(verdict)]
        by_kind[name] = by_kind.get(name, 0) + rows_count
        if verdicts.kind_of(verdict) == verdicts.FILTERED:
            reason = placing.placed.reasons.get(verdict % verdicts.SPAN)
            if reason is not None:
                outcome.reasons[reason] = outcome.reasons.get(reason, 0) + rows_count
    outcome.row_counts = by_kind
    outcome.counts = _records(connection, rows) if placing.explodes else dict(by_kind)
    if by_kind.get("late"):
        outcome.late = _late(connection, rows)
    if by_kind.get("failed"):
        outcome.failed = _failures(connection, placing, rows)


def late_rows(connection: duckdb.DuckDBPyConnection, placing: Placing, batch: Batch) -> np.ndarray:
    """The `_row`s that are late; of steps without a dedupe, which remembers what it was given."""
    return _late(connection, placing.rows(connection, batch))


def _records(connection: duckdb.DuckDBPyConnection, rows: str) -> dict[str, int]:
    ranked = f"select max({verdicts.RECORD_RANK_SQL}) as r from {rows} group by _row"
    found = connection.execute(f"select r, count(*) from ({ranked}) group by 1").fetchall()
    return {verdicts.NAMES[verdicts.RANK_KINDS[rank]]: n for rank, n in found}


def _late(connection: duckdb.DuckDBPyConnection, rows: str) -> np.ndarray:
    sql = f"select distinct _row from {rows} where {verdicts.is_kind_sql(verdicts.LATE)}"
    found = connection.execute(sql).fetchnumpy()
    return np.sort(found["_row"]).astype(np.int64)


def _failures(connection: duckdb.DuckDBPyConnection, placing: Placing, rows: str) -> pa.Table:
    first = verdicts.code(verdicts.FAILED)
    found = connection.sql(
        f"select distinct _row, _verdict - {first} as _expression from {rows} "
        f"where {verdicts.is_kind_sql(verdicts.FAILED)} order by all"
    ).to_arrow_table()
    reasons = pa.array([f"the expression fails: {text}" for text in placing.placed.failures])
    return pa.table(
        {"_row": found.column("_row"), "_reason": reasons.take(found.column("_expression"))}
    )
