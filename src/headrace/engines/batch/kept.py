"""A query's rows as a temporary table, made within a bounded memory."""

from __future__ import annotations

import re

import duckdb

from headrace.engines.batch.relations import Part, Query


def keep(connection: duckdb.DuckDBPyConnection, table: str, *queries: Query) -> None:
    """Makes the temporary table `table` of the rows of `queries`, which have the same columns.

    What several parts of one read is a table of its own first. The sorts and groups of one
    statement hold their buffers at once, however few their rows are; those of several statements
    one after the other.
    """
    for number, query in enumerate(queries):
        _keep(connection, f"insert into {table}" if number else _creating(table), query)


def _keep(connection: duckdb.DuckDBPyConnection, into: str, query: Query) -> None:
    between: list[Part] = []
    kept: list[str] = []
    for number, part in enumerate(query.parts):
        later = [other.select for other in query.parts[number + 1 :]]
        several = not part.repeated and _readers(part.name, [*later, query.select]) > 1
        if several or part.apart:
            _make(connection, _creating(part.name), Query(tuple(between), part.select))
            kept.append(part.name)
        else:
            between.append(part)
    _make(connection, into, Query(tuple(between), query.select))
    for name in kept:
        connection.execute(f"drop table {name}")


def _creating(table: str) -> str:
    return f"create or replace temp table {table} as"


def _make(connection: duckdb.DuckDBPyConnection, into: str, query: Query) -> None:
    connection.execute(f"{into} {query.sql}")


def _readers(name: str, selects: list[str]) -> int:
    return sum(len(re.findall(rf"\bfrom {name}\b", select)) for select in selects)
