"""All rows of a table replaced by others, inside the caller's transaction.

Invariant: afterwards the table has exactly the rows that came, but for those that it refuses, which
are returned. Rows that were there and are the same are not written again. What comes is staged on
the server, so that memory here holds one batch.
"""

from __future__ import annotations

from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from headrace.storage.postgres.changes import FAILED, POSITION, STAGING, Changes, Source
from headrace.storage.postgres.decode import Decoder, selected
from headrace.storage.postgres.landing import Landing
from headrace.storage.postgres.marks import Refused
from headrace.storage.postgres.shape import Shape
from headrace.storage.postgres.staged import kept
from headrace.values.points import reach


class Replacing:
    """Replaces the rows of one table over one connection, inside its transaction."""

    def __init__(
        self, shape: Shape, changes: Changes, connection: Any, local: duckdb.DuckDBPyConnection
    ) -> None:
        self._shape, self._changes, self._connection = shape, changes, connection
        self._landing = Landing(shape, changes, connection, local)

    def replace(self, rows: pa.RecordBatchReader) -> tuple[int, list[Refused]]:
        """How many rows came, and those that were refused, with the server's words."""
        count, refused = self._stage(rows)
        reach("postgres.staged")
        # The server knows nothing of a temporary table, and would plan for a few rows.
        self._connection.execute(f"analyze {STAGING}")
        for nulls in self._null_sets():
            self._connection.execute(self._changes.absent_sql(nulls))
        reach("postgres.cleared")
        reasons = self._landing.apply(
            lambda source: [self._changes.upsert_sql(source, whatever_is_there=True)],
            [self._changes.upsert_sql(Source(None), whatever_is_there=True)],
            (0, count),
        )
        if reasons:
            refused += self._kept(self._failed_rows(), reasons)
        return count, refused

    def _stage(self, rows: pa.RecordBatchReader) -> tuple[int, list[Refused]]:
        count, refused = 0, list[Refused]()
        for batch in rows:
            piece = pa.Table.from_batches([batch]).select(self._shape.names)
            end = count + piece.num_rows
            positions = pa.array(np.arange(count, end, dtype=np.int32))
            numbered = piece.add_column(0, "_position", positions)
            upserts = pa.array(np.ones(piece.num_rows, np.bool_))
            reasons = self._landing.copy(numbered.add_column(0, "_op", upserts))
            if reasons:
                refused += self._kept(numbered, reasons)
            count = end
        return count, refused

    def _null_sets(self) -> list[tuple[str, ...]]:
        """The sets of columns that are null together in a key of the table."""
        names = self._shape.nullable_key
        if not names:
            return [()]
        found = self._connection.execute(self._changes.null_sets_sql()).fetchall()
        return [tuple(n for n, null in zip(names, row, strict=True) if null) for row in found]

    def _failed_rows(self) -> pa.Table:
        """The staged rows that were refused, as they came, with their positions."""
        columns = ", ".join(selected(name, kind) for name, kind in self._shape.kind.items())
        places = f"select {POSITION} from {FAILED}"
        asked = f"select {columns} from {STAGING} where {POSITION} in ({places})"
        asked += f" order by {POSITION}"
        decoder = Decoder(self._shape.target.columns, self._shape.kinds)
        with self._connection.cursor().copy(f"copy ({asked}) to stdout (format binary)") as copy:
            rows = pa.Table.from_batches(decoder.batches(copy), decoder.schema)
        found = self._connection.execute(f"{places} order by {POSITION}").fetchall()
        positions = pa.array([position for (position,) in found], pa.int32())
        return rows.add_column(0, "_position", positions)

    def _kept(self, rows: pa.Table, reasons: dict[int, str]) -> list[Refused]:
        """What is kept of those of `rows` whose `_position` is in `reasons`."""
        positions = rows.column("_position").to_pylist()
        chosen = [at for at, position in enumerate(positions) if position in reasons]
        plain = rows.drop_columns(["_position"]).take(pa.array(chosen, pa.int64()))
        return kept(plain, [positions[at] for at in chosen], reasons, self._shape.target.key)
