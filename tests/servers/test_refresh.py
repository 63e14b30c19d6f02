"""Tables in PostgreSQL that lost what they had been given: filled again from lake and log."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from headrace.cli.loading import load_app
from headrace.engines.embedded.deliveries.targets import target_of
from headrace.storage.topics.log import LocalTopic
from headrace.values.points import VARIABLE
from tests.servers.names import Database
from tests.servers.place import Place
from tests.servers.postgres import Postgres
from tests.storage.postgres.targets import served

APP = """
from datetime import datetime
import headrace as hr

class Order(hr.Event):
    at: datetime
    country: str | None
    amount: int
    note: str | None

app = hr.App("shop")
orders = app.source(Order, topic="orders", key="country", time="at", lateness="1 minute",
                    partitions=1)
minutes = orders.tumble("1 minute").by("country").agg(total="sum(amount)", n="{n}")
gaps = orders.session(gap="2 minutes").by("country").agg(total="sum(amount)")
app.table("revenue", orders.by("country").agg(total="sum(amount)", mean="avg(amount)"))
app.table("per_minute", minutes)
app.table("last_minute", minutes, key="country")
app.table("closed", minutes, emit="final")
app.table("sliding", orders.slide("4 minutes", every="2 minutes").agg(n="count(*)"))
app.table("best", minutes.top(1, by="total"))
app.table("gaps", gaps)
app.table("last_order", orders, key="country")
{lake}
"""
LAKE = 'app.lake("orders", orders)'
TABLES = ("revenue", "per_minute", "last_minute", "closed", "sliding", "best", "gaps", "last_order")
RUN = ("run", "shop.py", "--until", "caught-up")


def shop(*, n: str = "count(*)", lake: str = LAKE) -> str:
    return APP.replace("{n}", n).replace("{lake}", lake)


class Shop:
    """The app with its tables in a database; `check` has it run beside on tables of its own."""

    def __init__(self, tmp_path: Path, dsn: str) -> None:
        self.dsn, self._orders = dsn, list[str]()
        self.there = Place(made(tmp_path / "there"), f'[profile.servers]\ntables = "{dsn}"\n')
        self.here = made(tmp_path / "here")
        self.define(shop())

    def define(self, text: str) -> None:
        for directory in (self.there.directory, self.here):
            (directory / "shop.py").write_text(text)

    def order(self, count: int) -> None:
        """So many more orders, some late, some without a country."""
        lines = [order(n) for n in range(len(self._orders), len(self._orders) + count)]
        self._orders += lines
        (self.there.directory / "orders.jsonl").write_text("\n".join(lines))
        self.there.give("ingest", "shop.py", "orders", "orders.jsonl", "--again")

    def run(self, *, code: int = 0) -> str:
        return self.there.give(*RUN, code=code)

    def rows(self, sql: str) -> list[Any]:
        return list(json.loads(self.there.give("query", "shop.py", sql, "--format", "json")))

    def check(self) -> None:
        """The proof holds, and the rows are those of a job that nothing happened to."""
        self.there.give("verify", "shop.py")
        app, data = load_app(str(self.here / "shop.py")), self.here / secrets.token_hex(4)
        topic = LocalTopic.ensure(data / "topics", "orders", 1)
        topic.append(pa.array(self._orders, pa.binary()))
        app.run(until="caught-up", data=data)
        (job,) = app.plan.jobs
        for output in job.outputs:
            if output.role == "table":
                undisturbed = app.query(f"from {output.name}", data=data).to_pylist()
                wanted = sorted(repr(tuple(row.values())) for row in undisturbed)
                held = served(self.dsn, target_of(job, output))
                assert sorted(map(repr, held)) == wanted, output.name
                assert wanted, output.name


def made(directory: Path) -> Path:
    directory.mkdir()
    return directory


def order(n: int) -> str:
    minute, second = divmod(n * 2 - (150 if n % 17 == 0 and n > 100 else 0), 60)
    hour, minute = divmod(minute, 60)
    at = f"2026-03-01T{10 + hour:02}:{minute:02}:{second:02}Z"
    country = None if n % 11 == 0 else ("de", "fr", "it")[n % 3]
    return json.dumps({"at": at, "country": country, "amount": n, "note": None})


def texts(said: str) -> list[dict[str, Any]]:
    """What the job told, line by line."""
    return [json.loads(line) for line in said.splitlines() if line.startswith("{")]


def filled(said: str) -> dict[str, Any]:
    """The tables that were filled, with the epoch that each had."""
    told = texts(said)
    done = {line["destination"] for line in told if line["event"] == "table_filled"}
    begun = [line for line in told if line["event"] == "table_filling"]
    assert done == {line["destination"] for line in begun}
    return {line["destination"]: line["had_epoch"] for line in begun}


@contextmanager
def killed_at(point: str) -> Iterator[None]:
    os.environ[VARIABLE] = point
    try:
        yield
    finally:
        del os.environ[VARIABLE]


def copies(database: Database, *, back: bool) -> None:
    """Keeps a copy of every table and mark, or puts it `back`: an older backup."""
    with database.connect() as connection:
        for name in (*TABLES, "headrace_marks", "headrace_refused_rows"):
            if back:
                connection.execute(f"truncate {name}")
                connection.execute(f"insert into {name} select * from kept.{name}")
            else:
                connection.execute("create schema if not exists kept")
                connection.execute(f"create table kept.{name} as table {name}")


def drop(database: Database) -> None:
    with database.connect() as connection:
        connection.execute("drop table per_minute, revenue, gaps")


def truncate(database: Database) -> None:
    with database.connect() as connection:
        connection.execute(f"truncate {', '.join(TABLES)}, headrace_marks")


@pytest.mark.parametrize("lake", [LAKE, ""], ids=["from the lake", "from the log"])
def test_an_older_backup_is_filled_again(database: Database, tmp_path: Path, lake: str) -> None:
    job = Shop(tmp_path, database.dsn)
    job.define(shop(lake=lake))
    job.order(400)
    job.run()
    copies(database, back=False)
    job.order(400)
    job.run()
    copies(database, back=True)
    assert set(filled(job.run())) == set(TABLES)
    job.check()
    assert filled(job.run()) == {}
    job.order(200)
    job.run()
    job.check()


@pytest.mark.parametrize("lose", [drop, truncate])
def test_tables_that_are_gone_are_filled_again(
    database: Database, tmp_path: Path, lose: Any
) -> None:
    job = Shop(tmp_path, database.dsn)
    job.order(500)
    job.run()
    lose(database)
    told = filled(job.run())
    assert set(told.values()) == {None}
    job.check()
    job.order(200)
    job.run()
    job.check()


def test_a_changed_view_is_built_again_there_too(database: Database, tmp_path: Path) -> None:
    job = Shop(tmp_path, database.dsn)
    job.order(400)
    job.run()
    job.define(shop(n="count(*) + 10"))
    job.run(code=5)
    said = job.there.give(*RUN, "--rebuild")
    told = {t for t in TABLES if f"table {t}: its view was built again; it is filled" in said}
    assert told == {"per_minute", "last_minute", "closed", "best"}
    job.there.give("verify", "shop.py")
    job.order(200)
    job.run()
    job.there.give("verify", "shop.py")
    with database.connect() as connection:
        sql = "select min(n) > 10, count(*) > 30 from per_minute"
        assert connection.execute(sql).fetchone() == (True, True)


def test_a_view_that_is_named_is_built_again_there_too(database: Database, tmp_path: Path) -> None:
    job = Shop(tmp_path, database.dsn)
    job.order(400)
    job.run()
    with database.connect() as connection:
        connection.execute("update revenue set total = -1")
    job.there.give("verify", "shop.py", code=1)
    job.there.give("state", "rebuild", "shop.py", "revenue")
    job.check()


@pytest.mark.parametrize(
    "point",
    # tests/storage/postgres/test_crashes.py kills at each step of one table.
    ["postgres.cleared:2", "postgres.committed:2", "fill.replaced:8"],
)
def test_a_job_killed_while_it_fills_fills_again(
    database: Database, tmp_path: Path, point: str
) -> None:
    job = Shop(tmp_path, database.dsn)
    job.order(300)
    job.run()
    copies(database, back=False)
    job.order(300)
    job.run()
    copies(database, back=True)
    with killed_at(point):
        job.run(code=-9)
    assert filled(job.run())
    job.check()


@pytest.mark.parametrize("point", ["state.committed:2", "fill.replaced"])
def test_a_job_killed_behind_a_rebuild_fills_what_it_rebuilt(
    database: Database, tmp_path: Path, point: str
) -> None:
    job = Shop(tmp_path, database.dsn)
    job.order(300)
    job.run()
    job.define(shop(n="count(*) + 10"))
    with killed_at(point):
        job.there.give(*RUN, "--rebuild", code=-9)
    assert "per_minute" in filled(job.run())
    job.there.give("verify", "shop.py")


def test_a_job_that_runs_fills_a_database_that_was_restored(
    own_postgres: Postgres, tmp_path: Path
) -> None:
    database = Database(own_postgres)
    job = Shop(tmp_path, database.dsn)
    job.order(300)
    job.run()
    own_postgres.stop()
    backup = own_postgres.back_up()
    own_postgres.start()
    running = job.there.start("run", "shop.py")
    job.order(300)
    until_there(database, 600)
    own_postgres.stop()
    own_postgres.restore(backup)
    own_postgres.start()
    job.order(100)
    until_there(database, 700)
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=60)
    assert running.returncode == 0, said
    assert filled(said)
    job.check()


def until_there(database: Database, orders: int) -> None:
    """Waits until the database has the last of so many orders."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        with contextlib.suppress(Exception), database.connect() as connection:
            sql = "select coalesce(max(amount), 0) from last_order"
            if connection.execute(sql).fetchone() == (orders - 1,):
                return
        time.sleep(0.2)
    raise AssertionError(f"order {orders} never came")


def test_what_a_filled_table_refuses_is_listed(database: Database, tmp_path: Path) -> None:
    job = Shop(tmp_path, database.dsn)
    job.order(300)
    job.run()
    with database.connect() as connection:
        connection.execute("drop table per_minute")
        connection.execute(
            "create table per_minute (window_start timestamptz not null, "
            "window_end timestamptz not null, country text, total numeric(39,0), n bigint, "
            "unique nulls not distinct (window_start, country), check (country <> 'fr'))"
        )
        connection.execute("update headrace_marks set epoch = null where output = 'per_minute'")
    assert set(filled(job.run())) == {"per_minute"}
    refused = job.rows("select * from refused_rows")
    assert len(refused) > 5
    assert all("check constraint" in row["reason"] for row in refused)
    (sums,) = job.rows("select * from conservation where name = 'per_minute' and sent > 0")
    assert sums["refused"] == len(refused)
    assert sums["balanced"]


def test_where_nothing_reaches_back_it_is_said(database: Database, tmp_path: Path) -> None:
    job = Shop(tmp_path, database.dsn)
    job.define(shop(lake=""))
    for _ in range(2):
        job.order(150)
        job.run()
    drop(database)
    topic = LocalTopic.open(job.there.directory / "d" / "topics", "orders")
    deadline = time.monotonic() + 60
    while topic.begin_offsets() == [0]:
        assert time.monotonic() < deadline, "retention took nothing"
        topic.retain(1, 1)
    said = job.run(code=5)
    assert "has lost what it was given" in said
    assert "headrace state reset" in said
    job.there.give("state", "reset", "shop.py", "--yes")
    job.order(50)
    job.run()
    job.there.give("verify", "shop.py")


def test_tables_that_were_in_the_state_are_filled_elsewhere(
    database: Database, tmp_path: Path
) -> None:
    """The profile names a database from now on."""
    job = Shop(tmp_path, database.dsn)
    job.order(300)
    profile = job.there.directory / "headrace.toml"
    elsewhere = profile.read_text()
    profile.write_text("[profile.servers]\n")
    job.run()
    profile.write_text(elsewhere)
    assert set(filled(job.run())) == set(TABLES)
    job.check()
