"""Statements over Arrow tables at hand.

DuckDB finds them among the locals of whoever executes: that spares a view in its catalog, made and
dropped, which costs as much as a small statement.
"""

from __future__ import annotations

import duckdb
import pyarrow as pa

GIVEN = "_given"
"""What a statement calls the table."""


def execute(connection: duckdb.DuckDBPyConnection, sql: str, _given: pa.Table) -> int:
    """Executes a statement that changes rows, over `GIVEN`; returns how many."""
    found = connection.execute(sql).fetchall()
    return int(found[0][0]) if found else 0


def arrow(connection: duckdb.DuckDBPyConnection, sql: str, _given: pa.Table) -> pa.Table:
    """The rows of a query over `GIVEN`."""
    return connection.sql(sql).to_arrow_table()


def make_temp(connection: duckdb.DuckDBPyConnection, name: str, sql: str, _given: pa.Table) -> str:
    """Fills the temporary table `name` from a query over `GIVEN`; returns the name."""
    connection.execute(f"create or replace temp table {name} as {sql}")
    return name
