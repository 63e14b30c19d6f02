"""A state as an earlier version left it: what its last migration did, undone."""

from __future__ import annotations

from pathlib import Path

import duckdb

from headrace.storage.state.schema import FORMAT
from headrace.storage.state.store import FILE_NAME


def put_back(data: Path) -> bool:
    """Makes the state in `data` one of the format before; whether there is one.

    Nobody may have it open.
    """
    for path in data.glob(f"jobs/*/{FILE_NAME}"):
        with duckdb.connect(str(path)) as state:
            state.execute("begin")
            _UNDOING[FORMAT](state)
            before = [str(FORMAT - 1)]
            state.execute("update meta.facts set value = ? where name = 'format'", before)
            state.execute("commit")
        return True
    return False


def _to_4(state: duckdb.DuckDBPyConnection) -> None:
    for (table,) in state.execute(
        "select table_name from information_schema.tables "
        "where table_schema = 'state' and contains(table_name, ':')"
    ).fetchall():
        before = table.replace(":", ".")
        state.execute(f'alter table state."{table}" rename to "{before}"')
    state.execute("alter table meta.outbox add column position bigint")
    state.execute("alter table meta.outbox add column key blob")


_UNDOING = {5: _to_4}
