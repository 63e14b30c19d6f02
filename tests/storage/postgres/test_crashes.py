"""A writer killed between any two steps of a delivery leaves whole epochs, and goes on exactly."""

from __future__ import annotations

import pytest

from headrace.storage.contract import Mark
from headrace.storage.postgres.system import PostgresSystem
from tests.servers.names import Database
from tests.storage.postgres.deliverer import OF, ROWS, expected, run
from tests.storage.postgres.targets import JOB, served

CHECK = "alter table totals add check (k >= 0)"
EPOCHS = 5
POINTS = [
    "postgres.created",
    "postgres.opened",
    "postgres.copied:3",
    "postgres.applied:3",
    "postgres.marked:3",
    "postgres.committed:3",
]


@pytest.mark.parametrize("point", POINTS)
def test_a_killed_writer_goes_on(database: Database, point: str) -> None:
    PostgresSystem(database.dsn).destination(OF).open(JOB, 1)
    with database.connect() as connection:
        connection.execute(CHECK)
    code, lines = run(database.dsn, 2, EPOCHS, kill_at=point)
    assert code == -9, f"{point} was never reached"
    taken = max([0, *(int(line.split()[1]) for line in lines)])
    code, lines = run(database.dsn, 3, EPOCHS)
    assert code == 0
    found = int(lines[0].split()[1])
    assert taken <= found <= taken + 1
    assert served(database.dsn, OF) == expected(EPOCHS)
    assert_balanced(database)


def test_a_replacement_killed_in_the_middle_leaves_the_table_before(database: Database) -> None:
    assert run(database.dsn, 1, EPOCHS + 2)[0] == 0
    before = served(database.dsn, OF)
    assert len(before) > len(expected(EPOCHS))
    assert run(database.dsn, 2, 1, "postgres.emptied", generation=2)[0] == -9
    assert served(database.dsn, OF) == before
    assert run(database.dsn, 3, EPOCHS, generation=2)[1][0] == "mark 0"
    assert [row for row in served(database.dsn, OF) if row[0] >= 0] == expected(EPOCHS)


@pytest.mark.parametrize(
    "point",
    ["postgres.staged", "postgres.cleared", "postgres.replaced", "postgres.replacement.marked"],
)
def test_rows_replaced_by_who_is_killed_are_those_before(database: Database, point: str) -> None:
    assert run(database.dsn, 1, EPOCHS + 2)[0] == 0
    with database.connect() as connection:
        connection.execute("delete from totals where k < 0")
        connection.execute("update totals set v = -v where k % 3 = 0")
        connection.execute(CHECK)
        connection.execute("update headrace_marks set epoch = 2")
    before = served(database.dsn, OF)
    assert run(database.dsn, 2, EPOCHS, point, 1, "replace")[0] == -9
    assert served(database.dsn, OF) == before
    code, lines = run(database.dsn, 3, EPOCHS, "", 1, "replace")
    assert (code, lines[0]) == (0, "mark 2")
    assert lines[1] == f"landed {len(expected(EPOCHS))}"
    assert served(database.dsn, OF) == expected(EPOCHS)
    assert run(database.dsn, 4, EPOCHS, "postgres.committed", 1, "replace")[0] == -9
    assert served(database.dsn, OF) == expected(EPOCHS)
    with database.connect() as connection:
        (refused,) = connection.execute("select key from headrace_refused_rows").fetchall()
    assert refused == ('{"k":-1}',)


def assert_balanced(database: Database) -> None:
    with database.connect() as connection:
        sums = connection.execute("select sent_rows, landed_rows from headrace_marks").fetchone()
        refused = connection.execute("select number, key from headrace_refused_rows order by 1")
        rows = refused.fetchall()
    assert sums == (EPOCHS * ROWS, EPOCHS * (ROWS - 1))
    numbers = [(Mark(JOB, 1, e).number, f'{{"k":{-e}}}') for e in range(1, EPOCHS + 1)]
    assert rows == numbers
