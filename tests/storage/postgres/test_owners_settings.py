"""Timeouts that the server's owner has set are for people; a job's own limits hold for it."""

from __future__ import annotations

import time

import pytest

from headrace.storage.postgres.system import PostgresSystem
from headrace.values.errors import Unreachable
from tests.servers.names import Database
from tests.storage.postgres.targets import JOB, delivery, mark, served, target

OF = target("totals", (("k", "BIGINT"), ("v", "BIGINT")), ["k"], required=("k",))
LIMIT_MS = 500
SLOW = f"""
create function slow() returns trigger language plpgsql as
$$ begin perform pg_sleep({2 * LIMIT_MS / 1000}); return null; end $$;
create trigger slow after insert on totals execute function slow();
"""


@pytest.mark.parametrize("setting", ["statement_timeout", "idle_session_timeout"])
def test_a_delivery_may_take_its_time(database: Database, setting: str) -> None:
    with database.connect() as connection:
        connection.execute(f'alter database "{database.name}" set {setting} = {LIMIT_MS}')
    table = PostgresSystem(database.dsn).destination(OF)
    table.open(JOB, 1)
    with database.connect() as connection:
        connection.execute(SLOW)
    for epoch in (1, 2):
        assert table.deliver(delivery(OF, [("u", epoch, epoch)]), mark(epoch)) == 1
        time.sleep(2 * LIMIT_MS / 1000)  # longer than a session may be idle
    table.close()
    assert len(served(database.dsn, OF)) == 2


def test_what_the_url_says_itself_holds(database: Database) -> None:
    own = f"?options=-cstatement_timeout%3D{LIMIT_MS}"
    table = PostgresSystem(database.dsn + own).destination(OF)
    table.open(JOB, 1)
    with database.connect() as connection:
        connection.execute(SLOW)
    with pytest.raises(Unreachable, match="statement timeout"):
        table.deliver(delivery(OF, [("u", 1, 1)]), mark(1))
    table.close()
