"""What a trial puts back is what the migration takes on, and as it was."""

from __future__ import annotations

from pathlib import Path

import duckdb

from headrace.storage.state.schema import FORMAT
from headrace.storage.state.store import FILE_NAME, StateStore
from tests.torture.kills.earlier import OLDEST, put_back

_TABLES = (
    "select table_schema, table_name, column_name, data_type from information_schema.columns "
    "where table_schema in ('meta', 'state') order by all"
)


def test_a_state_goes_back_a_format_and_forth(tmp_path: Path) -> None:
    assert not put_back(tmp_path)
    directory = tmp_path / "jobs" / "one"
    with StateStore(directory, threads=1, memory_limit="200MB") as store:
        store.connection.execute('create table state."slid:changed" as select 1 as n')
        store.connection.execute("insert into meta.outbox values (1, 'out', 'x'::blob)")
        store.connection.execute("insert into meta.sources values ('t', 'i', 0, 1)")
        before = store.rows(_TABLES)
    assert put_back(tmp_path)
    with duckdb.connect(str(directory / FILE_NAME)) as state:
        [(found,)] = state.execute("select value from meta.facts where name = 'format'").fetchall()
        assert found == str(OLDEST)
        assert state.execute(_TABLES).fetchall() != before
    with StateStore(directory, threads=1, memory_limit="200MB") as store:
        assert store.rows(_TABLES) == before
        assert store.rows("from meta.outbox") == [(1, "out", b"x")]
        assert store.rows("from meta.sources") == [("t", "i", 0, 1)]
        assert store.fact("format") == str(FORMAT)
