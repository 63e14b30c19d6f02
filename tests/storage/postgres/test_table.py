"""Deliveries land once, in order, from one start at a time."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pytest

from headrace.storage.contract import Target
from headrace.storage.postgres.system import PostgresSystem
from headrace.storage.postgres.table import PostgresTable
from headrace.values.errors import DefinitionError, StateRefused, Unreachable
from tests.servers.names import Database
from tests.storage.postgres.targets import JOB, delivery, mark, served, target

A, B = "2026-01-01 00:00", "2026-01-01 00:01"
KEYED = (("k", "VARCHAR"), ("v", "BIGINT"))
OF = target("totals", KEYED, ["k"])


def opened(
    database: Database, of: Target = OF, incarnation: int = 1, **options: Any
) -> PostgresTable:
    table = PostgresSystem(database.dsn, **options).destination(of)
    table.open(JOB, incarnation)
    return table


def test_upserts_and_deletes_land(database: Database) -> None:
    table = opened(database)
    assert table.deliver(delivery(OF, [("u", "a", 1), ("u", "b", 2), ("u", None, 3)]), mark(1)) == 3
    assert served(database.dsn, OF) == [(None, 3), ("a", 1), ("b", 2)]
    changes = [("d", "a", None), ("d", None, None), ("u", "b", 5), ("u", "c", None)]
    assert table.deliver(delivery(OF, changes), mark(2)) == 4
    assert served(database.dsn, OF) == [("b", 5), ("c", None)]
    assert table.deliver(delivery(OF, []), mark(3)) == 0
    table.close()
    again = PostgresSystem(database.dsn).destination(OF)
    assert again.open(JOB, 2) == mark(3)


def test_a_mark_that_is_there_adds_nothing(database: Database) -> None:
    table = opened(database)
    table.deliver(delivery(OF, [("u", "a", 1)]), mark(1))
    table.deliver(delivery(OF, [("u", "a", 2)]), mark(2))
    for number in (1, 2):
        assert table.deliver(delivery(OF, [("u", "a", 9), ("u", "b", 9)]), mark(number)) == 2
    assert served(database.dsn, OF) == [("a", 2)]
    with database.connect() as connection:
        sums = connection.execute("select sent_rows, landed_rows from headrace_marks").fetchone()
    assert sums == (2, 2)


def test_a_greater_generation_replaces_the_table_in_one_step(database: Database) -> None:
    table = opened(database)
    table.deliver(delivery(OF, [("u", str(n), n) for n in range(500)]), mark(7))
    seen: list[int] = []
    looked, done = threading.Event(), threading.Event()

    def read() -> None:
        with database.connect() as connection:
            while not done.is_set():
                seen.append(connection.execute("select count(*) from totals").fetchone()[0])
                looked.set()

    reader = threading.Thread(target=read)
    reader.start()
    assert looked.wait(60)
    table.deliver(delivery(OF, [("u", "x", 1), ("u", "1", 2)]), mark(3, generation=2))
    looked.clear()
    assert looked.wait(60), "the reader has ended"
    done.set()
    reader.join()
    assert seen[0] == 500 and set(seen) <= {500, 2}
    assert served(database.dsn, OF) == [("1", 2), ("x", 1)]
    assert table.deliver(delivery(OF, [("u", "y", 1)]), mark(9)) == 1, "of the generation before"
    assert served(database.dsn, OF) == [("1", 2), ("x", 1)]


def test_a_newer_start_fences_an_older_one(database: Database) -> None:
    older = opened(database)
    older.deliver(delivery(OF, [("u", "a", 1)]), mark(1))
    newer = PostgresSystem(database.dsn).destination(OF)
    assert newer.open(JOB, 2) == mark(1)
    with pytest.raises(StateRefused, match=r"start number 2 \(this one is number 1\)"):
        older.deliver(delivery(OF, [("u", "a", 2)]), mark(2))
    newer.deliver(delivery(OF, [("u", "a", 3)]), mark(2))
    with pytest.raises(StateRefused, match="taken over"):
        older.deliver(delivery(OF, [("u", "a", 2)]), mark(2))
    assert served(database.dsn, OF) == [("a", 3)]


def test_a_newcomer_with_an_empty_directory_is_refused(database: Database) -> None:
    rightful = opened(database, incarnation=5)
    newcomer = PostgresSystem(database.dsn).destination(OF)
    with pytest.raises(StateRefused, match="runs elsewhere"):
        newcomer.open(JOB, 1)
    assert rightful.deliver(delivery(OF, [("u", "a", 1)]), mark(1)) == 1


def test_two_processes_with_one_state_are_noticed(database: Database) -> None:
    one, other = opened(database), opened(database)
    one.deliver(delivery(OF, [("u", "a", 1)]), mark(1))
    with pytest.raises(StateRefused, match="another process with the same state"):
        other.deliver(delivery(OF, [("u", "a", 2)]), mark(2))
    assert other.deliver(delivery(OF, [("u", "a", 1)]), mark(1)) == 1, "that very delivery is there"
    one.deliver(delivery(OF, [("u", "a", 2)]), mark(2))
    with pytest.raises(StateRefused, match="another process with the same state"):
        other.deliver(delivery(OF, [("u", "a", 3)]), replace(mark(2), offsets={"views": [19, 7]}))


def test_another_jobs_table_is_refused(database: Database) -> None:
    opened(database)
    theirs = Target("other", "totals", "table", KEYED, ("k",))
    with pytest.raises(StateRefused, match='belongs to the job "shop"'):
        PostgresSystem(database.dsn).destination(theirs).open("other", 9)
    with database.connect() as connection:
        connection.execute("create schema other")
    elsewhere = PostgresSystem(f"{database.dsn}?schema=other").destination(theirs)
    assert elsewhere.open("other", 1) is None


def test_rows_of_others_are_refused(database: Database) -> None:
    with database.connect() as connection:
        connection.execute("create table totals as select 'x' as k, 1::bigint as v")
        connection.execute("create unique index on totals (k) nulls not distinct")
        with pytest.raises(StateRefused, match="did not write"):
            PostgresSystem(database.dsn).destination(OF).open(JOB, 1)
        connection.execute("truncate totals")
    opened(database)


def test_a_table_that_was_dropped_is_made_again_without_a_mark(database: Database) -> None:
    table = opened(database)
    table.deliver(delivery(OF, [("u", "a", 1)]), mark(4))
    with database.connect() as connection:
        connection.execute("drop table totals")
    with pytest.raises(StateRefused, match="is gone"):
        table.deliver(delivery(OF, [("u", "a", 2)]), mark(5))
    again = PostgresSystem(database.dsn).destination(OF)
    assert again.open(JOB, 2) is None
    assert again.deliver(delivery(OF, [("u", "b", 2)]), mark(1, generation=2)) == 1
    assert served(database.dsn, OF) == [("b", 2)]


def test_marks_that_went_back_stop_the_job_in_words(database: Database) -> None:
    table = opened(database)
    for epoch in (1, 2):
        table.deliver(delivery(OF, [("u", "a", epoch)]), mark(epoch))
    with database.connect() as connection:
        connection.execute("update headrace_marks set epoch = 1")
    with pytest.raises(StateRefused, match="restored from a backup"):
        table.deliver(delivery(OF, [("u", "a", 3)]), mark(3))
    back = PostgresSystem(database.dsn).destination(OF).open(JOB, 2)
    assert back is not None and back.epoch == 1


def test_another_job_cannot_deliver(database: Database) -> None:
    table = opened(database)
    with pytest.raises(StateRefused, match='not "x"'):
        table.open("x", 1)


def test_other_roles_are_refused(database: Database) -> None:
    lake = Target(JOB, "events", "lake", KEYED)
    with pytest.raises(DefinitionError, match="holds tables"):
        PostgresSystem(database.dsn).destination(lake)


def test_a_lock_of_somebody_else_is_told_and_tried_again(database: Database) -> None:
    table = opened(database, lock_seconds=0.2)
    with database.connect() as connection, connection.transaction():
        connection.execute("lock table totals in share mode")
        with pytest.raises(Unreachable, match="lock timeout"):
            table.deliver(delivery(OF, [("u", "a", 1)]), mark(1))
    assert table.deliver(delivery(OF, [("u", "a", 1)]), mark(1)) == 1


def test_a_start_ends_what_an_older_one_left_in_the_middle(database: Database) -> None:
    older = opened(database, lock_seconds=0.2)
    with older._session.use("be stuck") as connection:
        connection.execute("begin")
        connection.execute("select from headrace_marks for update")
    newer = opened(database, incarnation=2, lock_seconds=0.2)
    assert newer.deliver(delivery(OF, [("u", "a", 1)]), mark(1)) == 1
    with pytest.raises((StateRefused, Unreachable)):
        older.deliver(delivery(OF, [("u", "a", 2)]), mark(2))
    with pytest.raises(StateRefused, match="start number 2"):
        older.deliver(delivery(OF, [("u", "a", 2)]), mark(2))


@pytest.mark.parametrize(
    ("mine", "theirs", "schemas"),
    [
        ("totals", "totals", ("dev", "prod")),
        ("totals", "totals", (None, "prod")),
        ("größe", "gräße", (None, None)),
        ("long_" * 11 + "one", "long_" * 11 + "two", (None, None)),
    ],
)
def test_a_start_ends_nothing_of_another_output(
    database: Database, mine: str, theirs: str, schemas: tuple[str | None, str | None]
) -> None:
    with database.connect() as connection:
        for schema in schemas:
            connection.execute(f"create schema if not exists {schema or 'public'}")

    def opened_there(name: str, schema: str | None) -> tuple[Target, PostgresTable]:
        dsn, of = database.dsn, target(name, KEYED, ["k"])
        dsn += f"?schema={schema}" if schema else ""
        table = PostgresSystem(dsn, lock_seconds=0.2).destination(of)
        table.open(JOB, 1)
        return of, table

    of, table = opened_there(mine, schemas[0])
    of_other, other = opened_there(theirs, schemas[1])
    with database.connect() as connection, connection.transaction():
        place = f"{schemas[0] or 'public'}.headrace_marks"
        connection.execute(f"select from {place} where output = %s for update", (mine,))
        with pytest.raises(Unreachable, match="lock timeout"):
            table.deliver(delivery(of, [("u", "a", 1)]), mark(1))
    assert other._session.times_connected == 1
    assert other.deliver(delivery(of_other, [("u", "a", 1)]), mark(1)) == 1
    assert other._session.times_connected == 1
    assert table.deliver(delivery(of, [("u", "a", 1)]), mark(1)) == 1


def test_outputs_opened_at_one_moment_make_their_tables(database: Database) -> None:
    targets = [target(f"totals_{n}", KEYED, ["k"]) for n in range(6)]
    found: list[object] = []

    def open_one(of: Target) -> None:
        table = PostgresSystem(database.dsn).destination(of)
        found.append(table.open(JOB, 1))
        found.append(table.deliver(delivery(of, [("u", "a", 1)]), mark(1)))

    threads = [threading.Thread(target=open_one, args=(of,)) for of in targets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(str, found)) == ["1"] * 6 + ["None"] * 6


def test_commits_are_durable_where_the_database_says_otherwise(database: Database) -> None:
    with database.connect() as connection:
        connection.execute(f'alter database "{database.name}" set synchronous_commit = off')
    table = opened(database)
    with table._session.use("look") as connection:
        assert connection.execute("show synchronous_commit").fetchone() == ("on",)
        assert connection.execute("show timezone").fetchone() == ("UTC",)
