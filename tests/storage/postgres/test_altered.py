"""A table that somebody alters under a job: it goes on, or stops in words before rows are wrong."""

from __future__ import annotations

import pytest

from headrace.storage.postgres.system import PostgresSystem
from headrace.values.errors import StateRefused
from tests.servers.names import Database
from tests.storage.postgres.targets import JOB, delivery, mark, served, target

OF = target("totals", (("k", "BIGINT"), ("v", "DOUBLE")), ["k"], required=("k",))


@pytest.mark.parametrize(
    ("altered", "words"),
    [
        ("alter column v type integer", "v"),  # 1.5 would become 2, and nobody would be told
        ("alter column v type text", "v"),
        ("rename column v to w", "v"),
        ("drop column v", "v"),
        ("add column w text not null default 'x'; alter table totals alter w drop default", "w"),
        ("drop constraint totals_pkey", "unique"),
    ],
)
def test_it_stops(database: Database, altered: str, words: str) -> None:
    table = PostgresSystem(database.dsn).destination(OF)
    table.open(JOB, 1)
    table.deliver(delivery(OF, [("u", 1, 1.0)]), mark(1))
    with database.connect() as connection:
        connection.execute(f"alter table totals {altered}")
        with pytest.raises(StateRefused, match=f'(?s)"totals" does not fit.*{words}'):
            table.deliver(delivery(OF, [("u", 2, 1.5)]), mark(2))
        assert connection.execute("select count(*) from totals").fetchone() == (1,)
    table.close()


@pytest.mark.parametrize(
    "altered",
    [
        "add column note text",
        "add column seen timestamptz not null default now()",
        "alter column v set statistics 10",
        "add constraint small check (v < 100)",
    ],
)
def test_it_goes_on(database: Database, altered: str) -> None:
    table = PostgresSystem(database.dsn).destination(OF)
    table.open(JOB, 1)
    table.deliver(delivery(OF, [("u", 1, 1.0)]), mark(1))
    with database.connect() as connection:
        connection.execute(f"alter table totals {altered}")
    for epoch in (2, 3):
        assert table.deliver(delivery(OF, [("u", 2, epoch + 0.5)]), mark(epoch)) == 1
    assert sorted(served(database.dsn, OF)) == [(1, 1.0), (2, 3.5)]
    table.close()
