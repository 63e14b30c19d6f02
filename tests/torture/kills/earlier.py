"""A state as an earlier version left it: what its last migrations did, undone."""

from __future__ import annotations

from pathlib import Path

import duckdb

from headrace.storage.state.store import FILE_NAME


def put_back(data: Path) -> bool:
    """Makes the state in `data` one of the format `OLDEST`; whether there is one.

    Nobody may have it open.
    """
    for path in data.glob(f"jobs/*/{FILE_NAME}"):
        with duckdb.connect(str(path)) as state:
            state.execute("begin")
            for undo in _UNDOING:
                undo(state)
            state.execute("update meta.facts set value = ? where name = 'format'", [str(OLDEST)])
            state.execute("commit")
        return True
    return False


def _to_5(state: duckdb.DuckDBPyConnection) -> None:
    state.execute("alter table meta.epochs drop column tails")
    state.execute("drop table meta.earlier_tails")


def _to_4(state: duckdb.DuckDBPyConnection) -> None:
    for (table,) in state.execute(
        "select table_name from information_schema.tables "
        "where table_schema = 'state' and contains(table_name, ':')"
    ).fetchall():
        before = table.replace(":", ".")
        state.execute(f'alter table state."{table}" rename to "{before}"')
    state.execute("alter table meta.outbox add column position bigint")
    state.execute("alter table meta.outbox add column key blob")


_UNDOING = (_to_5, _to_4)
OLDEST = 4
