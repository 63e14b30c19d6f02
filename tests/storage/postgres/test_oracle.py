"""Whatever is delivered, the table holds what a dictionary would."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headrace.storage.postgres.system import PostgresSystem
from tests.servers.names import Database
from tests.servers.postgres import Postgres
from tests.storage.postgres.targets import JOB, delivery, mark, served, target

START = datetime(2026, 1, 1)
COLUMNS = (
    ("k", "VARCHAR"),
    ("session_start_time", "TIMESTAMP"),
    ("tie", "VARCHAR"),
    ("v", "DOUBLE"),
)
WHOLE = target("whole", COLUMNS, ["k", "session_start_time", "tie"])
SMALLER = target("smaller", COLUMNS, ["k"], order=("session_start_time", "tie"))

Row = tuple[str, str | None, datetime, str | None, float | None]

changes = st.tuples(
    st.sampled_from("uud"),
    st.sampled_from([None, "", "a", "B"]),
    st.integers(0, 3).map(lambda n: START + timedelta(minutes=n)),
    st.sampled_from([None, "", "a", "B", "é"]),
    st.sampled_from([None, 0.5, -1.0, float("nan")]),
)
# At most one row per key of the view in a delivery.
deliveries = st.lists(
    st.lists(changes, max_size=8, unique_by=lambda row: (row[1], row[2], row[3])), max_size=5
)


def rank(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """The order of a smaller key: by start, then by the tie's bytes, null the lowest."""
    return row[1], row[2] is not None, (row[2] or "").encode()


def expected(every: list[list[Row]], smaller: bool) -> list[str]:
    table: dict[Any, tuple[Any, ...]] = {}
    for rows in every:
        for op, *values in rows:
            row = tuple(values)
            key = row[0] if smaller else row[:3]
            if op == "d" and key in table and table[key][:3] == row[:3]:
                del table[key]
        for op, *values in rows:
            row = tuple(values)
            key = row[0] if smaller else row[:3]
            if op == "u" and not (smaller and key in table and rank(table[key]) > rank(row)):
                table[key] = row
    return sorted(map(repr, table.values()))


@pytest.fixture(scope="module")
def place(postgres: Postgres) -> Iterator[Database]:
    database = Database(postgres)
    yield database
    database.remove()


@pytest.mark.parametrize("of", [WHOLE, SMALLER], ids=lambda t: t.name)
@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(every=deliveries)
def test_the_table_holds_what_a_dictionary_would(
    place: Database, of: Any, every: list[list[Row]]
) -> None:
    table = PostgresSystem(place.dsn).destination(of)
    last = table.open(JOB, 1)
    generation = 1 if last is None else last.generation + 1  # replaces what is there
    for epoch, rows in enumerate([[], *every], 1):
        assert table.deliver(delivery(of, rows), mark(epoch, generation)) == len(rows)
    table.close()
    assert sorted(map(repr, served(place.dsn, of))) == expected(every, of is SMALLER)
