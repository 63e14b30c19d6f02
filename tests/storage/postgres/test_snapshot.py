"""Readers see one moment, whatever is delivered meanwhile."""

from __future__ import annotations

import pytest

from headrace.storage.postgres import decode
from headrace.storage.postgres.system import PostgresSystem
from headrace.values.errors import StateRefused
from tests.servers.names import Database
from tests.storage.postgres.targets import JOB, delivery, mark, target

COLUMNS = (("k", "BIGINT"), ("text", "VARCHAR"), ("v", "DOUBLE"))
ONE, TWO = (target(name, COLUMNS, ["k"]) for name in ("one", "two"))


def test_several_readers_see_one_moment(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decode, "PIECE_ROWS", 100)
    system = PostgresSystem(database.dsn)
    tables = [system.destination(of) for of in (ONE, TWO)]
    rows = [("u", k, None if k % 3 else "x" * (k % 50), k / 2) for k in range(1050)]
    for of, table in zip((ONE, TWO), tables, strict=True):
        table.open(JOB, 1)
        table.deliver(delivery(of, rows), mark(1))
    snapshot = system.snapshot([ONE, TWO])
    one = snapshot.rows(ONE)
    first = one.read_next_batch()
    tables[0].deliver(delivery(ONE, [("u", 1, "later", 0.0)]), mark(2))
    tables[1].deliver(delivery(TWO, []), mark(1, generation=2))
    two = snapshot.rows(TWO).read_all()
    rest = one.read_all()
    assert 0 < len(first) <= 100
    read = sorted([*first.to_pylist(), *rest.to_pylist()], key=lambda row: row["k"])
    wanted = [{"k": k, "text": text, "v": v} for _, k, text, v in rows]
    assert read == sorted(two.to_pylist(), key=lambda row: row["k"]) == wanted
    snapshot.close()
    later = system.snapshot([TWO])
    assert later.rows(TWO).read_all().num_rows == 0
    with database.connect() as connection:
        held = "select count(*) from pg_stat_activity where application_name = 'headrace snapshot'"
        later.close()
        for _ in range(100):
            left = connection.execute(held).fetchone()[0]
            if not left:
                break
    assert left == 0


def test_a_missing_table_or_column_is_told(database: Database) -> None:
    system = PostgresSystem(database.dsn)
    snapshot = system.snapshot([ONE])
    with pytest.raises(StateRefused, match='no table "one"'):
        snapshot.rows(ONE)
    snapshot.close()
    with database.connect() as connection:
        connection.execute("create table one (k bigint)")
    snapshot = system.snapshot([ONE])
    with pytest.raises(StateRefused, match="no column text, v"):
        snapshot.rows(ONE)
    snapshot.close()
