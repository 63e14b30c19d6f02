"""What makes a state file of one format one of the next: a step for each, never changed again."""

from __future__ import annotations

import duckdb


def _from_3(connection: duckdb.DuckDBPyConnection) -> None:
    """Sources know which of their generations they are."""
    for column in ("number", "since_epoch"):
        type_ = "integer" if column == "number" else "bigint"
        connection.execute(f"alter table meta.sources add column {column} {type_} default 0")


def _from_4(connection: duckdb.DuckDBPyConnection) -> None:
    """The parts of a view's state are set apart from its name by what no name may hold.

    A view may be called as another one's part was: orders.changed. What is a view's own table, its
    name says as a whole.
    """
    views = {name for (name,) in connection.execute("select view from meta.views").fetchall()}
    for (table,) in connection.execute(
        "select table_name from information_schema.tables where table_schema = 'state' and "
        r"regexp_full_match(table_name, '.+\.(changed|open|pending|settles|seen\d+)')"
    ).fetchall():
        if table not in views:
            view, _, part = table.rpartition(".")
            connection.execute(f'alter table state."{table}" rename to "{view}:{part}"')
    connection.execute("drop view if exists meta.marks")
    for column in ("position", "key"):
        connection.execute(f"alter table meta.outbox drop column {column}")


def _from_5(connection: duckdb.DuckDBPyConnection) -> None:
    """Epochs know what they read last."""
    connection.execute(
        "alter table meta.epochs add column if not exists tails struct(topic varchar, tail blob)[]"
    )


MIGRATIONS = {"3": _from_3, "4": _from_4, "5": _from_5}
"""By the format that a file has. A step stands in the transaction that notes the next format."""
