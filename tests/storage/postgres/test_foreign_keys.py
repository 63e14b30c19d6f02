"""Rows that those of another table refer to, where all of them are replaced."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from headrace.storage.postgres.system import PostgresSystem
from headrace.storage.postgres.table import PostgresTable
from headrace.values.errors import StateRefused
from tests.servers.names import Database
from tests.storage.postgres.targets import JOB, delivery, mark, served, target

OF = target("users", (("k", "VARCHAR"), ("v", "BIGINT")), ["k"], required=("k",))
NOTES = """
create table notes (who text constraint "whose note" references users {more});
insert into notes values ('a')
"""
MORE = ["", "on delete restrict", "deferrable initially deferred"]
Rows = list[tuple[Any, ...]]


@pytest.fixture(params=MORE)
def table(database: Database, request: pytest.FixtureRequest) -> PostgresTable:
    """Has the rows a and b; a note refers to a."""
    made = PostgresSystem(database.dsn).destination(OF)
    made.open(JOB, 1)
    made.deliver(delivery(OF, [("u", "a", 1), ("u", "b", 1)]), mark(1))
    with database.connect() as connection:
        connection.execute(NOTES.format(more=request.param))
    return made


def reset(table: PostgresTable, rows: Rows) -> int:
    """The first delivery of another generation, which begins with a row that is withdrawn."""
    return table.deliver(delivery(OF, [("d", "c", None), *rows]), mark(1, generation=2)) - 1


def refilled(table: PostgresTable, rows: Rows) -> int:
    return table.replace(delivery(OF, rows).drop_columns(["_op"]).to_reader(), mark(2))


WAYS = pytest.mark.parametrize("replace", [reset, refilled])
Replace = Callable[[PostgresTable, Rows], int]


@WAYS
def test_one_that_comes_again_stays(
    database: Database, table: PostgresTable, replace: Replace
) -> None:
    with database.connect() as connection:
        connection.execute("alter table users add check (v < 5)")
    rows = [("u", "a", 2), ("u", "d", 2), ("u", "e", 9)]
    assert replace(table, rows) == 2
    assert served(database.dsn, OF) == [("a", 2), ("d", 2)]
    assert ["check constraint" in refusal.reason for refusal in table.refusals(0)] == [True]


@WAYS
def test_one_that_is_gone_is_told_with_the_way_on(
    database: Database, table: PostgresTable, replace: Replace
) -> None:
    with pytest.raises(StateRefused, match='"whose note" on table "notes".*still ref') as refused:
        replace(table, [("u", "d", 2)])
    assert served(database.dsn, OF) == [("a", 1), ("b", 1)]
    (*_, remedy) = str(refused.value.remedy).splitlines()
    with database.connect() as connection:
        connection.execute(remedy)
    assert replace(table, [("u", "d", 2)]) == 1
    assert served(database.dsn, OF) == [("d", 2)]


def test_a_row_that_is_withdrawn_stays_and_is_told(
    database: Database, table: PostgresTable
) -> None:
    rows = [("d", "a", None), ("d", "b", None), ("u", "d", 2)]
    assert table.deliver(delivery(OF, rows), mark(2)) == 2
    assert served(database.dsn, OF) == [("a", 1), ("d", 2)]
    assert ["whose note" in refusal.reason for refusal in table.refusals(0)] == [True]
