"""The rows of a delivery, ready for the staging table: the ones that count, numbered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace.storage.contract import Target
from headrace.storage.outbound.json_values import rows_to_json
from headrace.storage.postgres.marks import Refused
from headrace.values.schema import quote


@dataclass(frozen=True)
class Staged:
    """Rows with `_op` and the columns of the target; `upsert` says which are upserts.

    `delete_nulls` are the sets of columns that are null together in a key that is deleted.
    """

    rows: pa.Table
    upsert: pa.Array
    deletes: int
    delete_nulls: list[tuple[str, ...]]

    @property
    def upserts(self) -> int:
        return len(self.upsert) - self.deletes

    def wire(self) -> pa.Table:
        """The columns of the staging table, in order."""
        positions = pa.array(np.arange(len(self.upsert), dtype=np.int32))
        plain = self.rows.drop_columns(["_op"])
        return plain.add_column(0, "_position", positions).add_column(0, "_op", self.upsert)

    def only_upserts(self) -> pa.RecordBatchReader:
        """The rows that are upserts, without `_op`."""
        return self.rows.filter(self.upsert).drop_columns(["_op"]).to_reader()

    def refused(self, reasons: dict[int, str], key: Sequence[str]) -> list[Refused]:
        """What is kept of the rows at the positions of `reasons`."""
        positions = sorted(reasons)
        rows = self.rows.take(pa.array(positions, pa.int64()))
        return kept(rows, positions, reasons, key)


def kept(
    rows: pa.Table, positions: Sequence[int], reasons: dict[int, str], key: Sequence[str]
) -> list[Refused]:
    """What is kept of refused `rows`, which have these positions."""
    texts = rows_to_json(rows).to_pylist()
    keys = rows_to_json(rows.select(list(key))).to_pylist()
    return [
        Refused(position, key_text, row, reasons[position])
        for position, key_text, row in zip(positions, keys, texts, strict=True)
    ]


def stage(rows: pa.Table, target: Target, connection: duckdb.DuckDBPyConnection) -> Staged:
    """The rows of a delivery for `target`; of several for one smaller key the greatest."""
    names = ["_op", *(name for name, _ in target.columns)]
    rows = rows.select(names)
    if target.order and rows.num_rows:
        rows = _greatest(rows, target, connection)
    upsert = pc.equal(rows.column("_op").cast(pa.string()), "u").combine_chunks()
    if isinstance(upsert, pa.ChunkedArray):
        upsert = upsert.chunk(0)
    deletes = len(upsert) - int(pc.sum(upsert).as_py() or 0)
    identity = list(dict.fromkeys([*target.key, *target.order]))
    nulls = _null_sets(rows.filter(pc.invert(upsert)), identity) if deletes else []
    return Staged(rows, upsert, deletes, nulls)


def _greatest(rows: pa.Table, target: Target, connection: duckdb.DuckDBPyConnection) -> pa.Table:
    """All deletes, and per key the upsert that is highest in the order; null is the lowest."""
    by = ", ".join(["_op", *(quote(name) for name in target.key)])
    order = ", ".join(f"{quote(name)} desc nulls last" for name in target.order)
    numbered = rows.append_column("_position", pa.array(np.arange(rows.num_rows)))
    relation = connection.from_arrow(numbered.select(["_op", "_position", *_used(target)]))
    place = f"row_number() over (partition by {by} order by {order})"
    ranked = relation.project(f"_position, _op = 'd' or {place} = 1 as kept")
    kept = ranked.filter("kept").order("_position").to_arrow_table()
    return rows if len(kept) == rows.num_rows else rows.take(kept.column("_position"))


def _used(target: Target) -> list[str]:
    return list(dict.fromkeys([*target.key, *target.order]))


def _null_sets(deleted: pa.Table, names: Sequence[str]) -> list[tuple[str, ...]]:
    codes = np.zeros(deleted.num_rows, np.int64)
    for bit, name in enumerate(names):
        column = deleted.column(name)
        if column.null_count:
            codes |= column.is_null().to_numpy().astype(np.int64) << bit
    return [
        tuple(name for bit, name in enumerate(names) if code >> bit & 1)
        for code in np.unique(codes).tolist()
    ]
