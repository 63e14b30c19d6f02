"""A row that the table refuses is kept with the server's words; all others land."""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Any

import pyarrow as pa
import pytest

from headrace.storage.contract import Target
from headrace.storage.postgres import landing
from headrace.storage.postgres.system import PostgresSystem
from headrace.storage.postgres.table import PostgresTable
from tests.servers.names import Database
from tests.storage.postgres.targets import JOB, delivery, mark, served, target

COLUMNS = (("k", "BIGINT"), ("at", "TIMESTAMP"), ("text", "VARCHAR"), ("number", "DOUBLE"))
OF = target("things", COLUMNS, ["k"], required=("k",))


@pytest.fixture(autouse=True)
def few_are_tried_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landing, "_ALONE_ROWS", 100)


def opened(database: Database, *statements: str, of: Target = OF) -> PostgresTable:
    table = PostgresSystem(database.dsn).destination(of)
    table.open(JOB, 1)
    with database.connect() as connection:
        for statement in statements:
            connection.execute(statement)
    return table


def row(k: int, op: str = "u", **changed: Any) -> tuple[Any, ...]:
    return (op, k, changed.get("at"), changed.get("text", "fine"), changed.get("number", 1.0))


def keys(database: Database, of: Target = OF) -> set[int]:
    return {values[0] for values in served(database.dsn, of)}


TRIGGER = """
create function judge() returns trigger language plpgsql as $$
begin if new.text = 'bad' then raise exception 'no % here', new.k; end if; return new; end $$;
create trigger judge before insert or update on things for each row execute function judge()
"""
CODED = TRIGGER.replace("new.k;", "new.k using errcode = 'MY001';")
REFUSALS: list[tuple[str, tuple[str, ...], dict[str, Any], str]] = [
    ("check", ("alter table things add check (number > 0)",), {"number": -1.0}, "check constraint"),
    ("foreign", (
        "create table texts (text text primary key)", "insert into texts values ('fine')",
        "alter table things add foreign key (text) references texts",
    ), {"text": "none"}, r"foreign key constraint .*: Key \(text\)=\(none\) is not present"),
    ("deferred", (
        "create table texts (text text primary key)", "insert into texts values ('fine')",
        "alter table things add foreign key (text) references texts deferrable initially deferred",
    ), {"text": "none"}, "foreign key constraint"),
    ("long", ("alter table things alter column text type varchar(4)",),
     {"text": "longer"}, "too long"),
    ("null", ("alter table things alter column text set not null",), {"text": None}, "not-null"),
    ("trigger", (TRIGGER,), {"text": "bad"}, r"no \d+ here"),
    ("coded", (CODED,), {"text": "bad"}, r"no \d+ here"),
    ("nul", (), {"text": "a\0b"}, 'invalid byte sequence for encoding "UTF8": 0x00'),
    ("index", ("create index on things (text)",), {"text": "LONG"}, "index row"),
    ("domain", (
        "create domain short as text check (length(value) < 5)",
        "alter table things alter column text type short",
    ), {"text": "longer"}, "value for domain short violates"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("statements", "wrong", "words"), [r[1:] for r in REFUSALS], ids=[r[0] for r in REFUSALS]
)
def test_the_rows_around_a_refused_one_land(
    database: Database, statements: tuple[str, ...], wrong: dict[str, Any], words: str
) -> None:
    table = opened(database, *statements)
    if wrong.get("text") == "LONG":
        wrong = {"text": "".join(chr(33 + n * 7919 % 50_000) for n in range(9000))}
    bad = {3, 700, 701, 999}
    rows = [row(k, **wrong) if k in bad else row(k) for k in range(1000)]
    assert table.deliver(delivery(OF, rows), mark(1)) == 996
    assert keys(database) == set(range(1000)) - bad
    refused = table.refusals(0)
    assert [json.loads(r.row)["k"] for r in refused] == sorted(bad)
    assert {r.number for r in refused} == {mark(1).number}
    for one in refused:
        assert re.search(words, one.reason), one.reason
    assert table.deliver(delivery(OF, rows), mark(1)) == 996, "again: what had landed"
    assert table.deliver(delivery(OF, [row(5, "d"), row(2000)]), mark(2)) == 2
    assert table.refusals(mark(1).number) == []
    assert len(table.refusals(0)) == 4


def test_times_beyond_the_range_are_refused(database: Database) -> None:
    table = opened(database)
    rows = delivery(OF, [row(1, at=datetime(2026, 1, 1)), row(2), row(3)])
    beyond = [-9_223_372_022_400_000_000, -220_000_000_000_000_000]  # DuckDB's least, 5002 BC
    times = pa.array([0, *beyond], pa.int64()).view(pa.timestamp("us"))
    assert table.deliver(rows.set_column(2, "at", times), mark(1)) == 1
    assert [r.reason for r in table.refusals(0)] == ["timestamp out of range"] * 2


def test_deletes_are_refused_too(database: Database) -> None:
    table = opened(
        database,
        "create table users (k bigint references things)",
    )
    table.deliver(delivery(OF, [row(k) for k in range(600)]), mark(1))
    with database.connect() as connection:
        connection.execute("insert into users values (7)")
    rows = [row(k, "d") for k in range(10)] + [row(k) for k in range(600, 620)]
    assert table.deliver(delivery(OF, rows), mark(2)) == 29
    assert keys(database) == {7, *range(10, 620)}
    (refused,) = table.refusals(0)
    assert json.loads(refused.row)["_op"] == "d"
    assert "violates foreign key constraint" in refused.reason
    assert 'from table "users"' in refused.reason


def test_columns_may_be_called_like_anything(database: Database) -> None:
    of = target("things", [("s", "BIGINT"), ("said", "BIGINT"), ("t", "BIGINT")], ["s", "said"])
    table = opened(database, "alter table things add check (t > 0)", of=of)
    assert table.deliver(delivery(of, [("u", 1, 1, 0), ("u", 1, 2, 1)]), mark(1)) == 1
    assert table.deliver(delivery(of, [("d", 1, 2, 0), ("u", 3, 2, 0)]), mark(2)) == 1
    assert served(database.dsn, of) == []


def test_a_table_that_refuses_everything(database: Database) -> None:
    table = opened(database, "alter table things add check (number > 5)")
    assert table.deliver(delivery(OF, [row(k) for k in range(3000)]), mark(1)) == 0
    refused = table.refusals(0)
    assert [json.loads(r.row)["k"] for r in refused] == list(range(3000))
    with database.connect() as connection:
        sums = connection.execute("select sent_rows, landed_rows from headrace_marks").fetchone()
        key = connection.execute("select key from headrace_refused_rows limit 1").fetchone()
    assert (sums, key) == ((3000, 0), ('{"k":0}',))


def test_the_greatest_of_a_smaller_key_is_the_one_refused(database: Database) -> None:
    of = target("things", COLUMNS, ["k"], order=("at",), required=("k",))
    table = opened(database, "alter table things add check (number > 0)", of=of)
    early, late = datetime(2026, 1, 1), datetime(2026, 1, 2)
    rows = [row(1, at=early), row(1, at=late, number=-1.0), row(2, at=early)]
    assert table.deliver(delivery(of, rows), mark(1)) == 2
    assert keys(database, of) == {2}, "one row of a key counts, the greatest"
