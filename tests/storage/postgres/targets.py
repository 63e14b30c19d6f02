"""Targets, marks and deliveries for tests of tables in PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import duckdb
import pyarrow as pa

from headrace.storage.contract import Mark, Target
from headrace.storage.postgres.system import PostgresSystem
from headrace.values.schema import quote

JOB = "shop"
COLUMNS = (
    ("page_url", "VARCHAR"),
    ("window_start", "TIMESTAMP"),
    ("view_count", "BIGINT"),
)


def target(
    name: str = "page_view_counts",
    columns: Sequence[tuple[str, str]] = COLUMNS,
    key: Sequence[str] = ("page_url", "window_start"),
    **others: Any,
) -> Target:
    return Target(JOB, name, "table", tuple(columns), tuple(key), **others)


def mark(epoch: int, generation: int = 1) -> Mark:
    return Mark(JOB, generation, epoch, {"views": [epoch * 10, 7]}, {"views": None, "b": epoch})


def delivery(of: Target, rows: Iterable[Sequence[Any]]) -> pa.Table:
    """Rows of (op, value, …), as the columns of the target; values are what DuckDB casts."""
    names = ["_op", *(name for name, _ in of.columns)]
    types = ["VARCHAR", *(type_ for _, type_ in of.columns)]
    listed = ", ".join(f"null::{t} as {quote(n)}" for n, t in zip(names, types, strict=True))
    with duckdb.connect() as connection:
        schema = connection.sql(f"select {listed} limit 0").to_arrow_table().schema
    columns = zip(*rows, strict=True) if (rows := list(rows)) else [[] for _ in names]
    arrays = [pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)]
    return pa.table(arrays, schema=schema)


def served(dsn: str, of: Target) -> list[tuple[Any, ...]]:
    """The rows that a reader sees, sorted."""
    system = PostgresSystem(dsn)
    snapshot = system.snapshot([of])
    try:
        table = snapshot.rows(of).read_all()
    finally:
        snapshot.close()
    rows = [tuple(row.values()) for row in table.to_pylist()]
    return sorted(rows, key=lambda row: [(value is not None, str(value)) for value in row])
