"""Tables in PostgreSQL keep the contract that every connector keeps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pyarrow as pa
import pytest

from headrace.storage.postgres.system import PostgresSystem
from headrace.testing.table_conformance import TableConformance, changes
from tests.servers.names import Database
from tests.servers.postgres import Postgres
from tests.storage import conforming


class TestPostgresTable(TableConformance):
    # test_crashes.py kills at all of them.
    points = ("postgres.applied", "postgres.committed")

    @pytest.fixture(autouse=True)
    def place(self, postgres: Postgres, database: Database) -> None:
        self.server, self.database = postgres, database
        self.made = PostgresSystem(database.dsn)

    def system(self) -> PostgresSystem:
        return self.made

    def refused_row(self) -> pa.Table:
        with self.database.connect() as connection:
            connection.execute("alter table conformance add check (v >= 0)")
        return changes([("u", "refused", 0, -1)])

    def backup(self) -> Callable[[], None]:
        with self.database.connect() as connection:
            listed = connection.execute("select tablename from pg_tables where schemaname='public'")
            names = [name for (name,) in listed]
            connection.execute("create schema saved")
            for name in names:
                connection.execute(f"create table saved.{name} as table public.{name}")

        def put_back() -> None:
            with self.database.connect() as connection, connection.transaction():
                for name in names:
                    connection.execute(f"delete from {name}")
                    connection.execute(f"insert into {name} select * from saved.{name}")

        return put_back

    @contextmanager
    def outage(self) -> Iterator[None]:
        name = self.database.name
        with self.server.connect() as connection:
            connection.execute(f'alter database "{name}" allow_connections false')
            connection.execute(
                "select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = %s",
                (name,),
            )
            yield
            connection.execute(f'alter database "{name}" allow_connections true')

    def child(self, incarnation: int, epoch: int) -> list[str]:
        return conforming.command("postgres", self.database.dsn, incarnation, epoch)
