"""The table of a smaller key: which row stays, whatever is null."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb
import pytest

from headrace.engines.embedded.epochs.tables import EmbeddedTable
from headrace.plan.operators import Column, Output


@dataclass
class _View:
    columns: tuple[Column, ...]


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize(
    ("rows", "kept"), [(["a", None], "a"), ([None, "a"], "a"), (["b", "a"], "b"), ([None], None)]
)
def test_null_is_lowest(rows: list[str | None], kept: str | None, together: bool) -> None:
    columns = (
        Column("user", "VARCHAR", key=True),
        Column("start", "INTEGER", key=True),
        Column("page", "VARCHAR", key=True),
    )
    output = Output("t", "table", "v", key=("user",), order=("start", "page"))
    connection = duckdb.connect()
    table = EmbeddedTable(output, _View(columns))  # type: ignore[arg-type]
    table.create(connection)
    listed = [f"('u', 'ann', 1, {'null' if page is None else repr(page)})" for page in rows]
    for part in [", ".join(listed)] if together else listed:
        changes = f'(select * from (values {part}) t(_op, "user", "start", page))'
        table.apply(connection, changes)
    assert connection.execute("select page from main.t").fetchall() == [(kept,)]
