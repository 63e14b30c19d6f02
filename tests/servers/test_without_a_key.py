"""A view without a key has one row: in PostgreSQL it is changed, replaced and proved as here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from headrace.storage.postgres.system import PostgresSystem
from tests.servers.names import Database
from tests.servers.place import Place
from tests.storage.postgres.targets import delivery, mark, served, target

APP = """
from datetime import datetime
import headrace as hr

class Order(hr.Event):
    at: datetime
    amount: int

app = hr.App("shop")
orders = app.source(Order, topic="orders", time="at", partitions=1)
app.lake("orders", orders)
app.table("whole", orders.agg(total="sum(amount)", n="{n}"))
app.table("many", orders.agg(n="count(*)").where("n > 100"))
app.table("last", orders.tumble("1 minute").agg(n="count(*)"), key=())
"""
RUN = ("run", "shop.py", "--until", "caught-up")
PLACES = {"whole": ["total", "n"], "many": ["n"], "last": ["window_start", "n"]}


class Shop:
    def __init__(self, directory: Path, dsn: str) -> None:
        self.there = Place(directory, f'[profile.servers]\ntables = "{dsn}"\n')
        self.define("count(*)")
        self._given = 0

    def define(self, n: str) -> None:
        (self.there.directory / "shop.py").write_text(APP.replace("{n}", n))

    def order(self, count: int) -> None:
        numbers = range(self._given, self._given + count)
        self._given += count
        lines = [
            json.dumps({"at": f"2026-03-01T10:{n // 60:02}:{n % 60:02}Z", "amount": n})
            for n in numbers
        ]
        (self.there.directory / "orders.jsonl").write_text("\n".join(lines))
        self.there.give("ingest", "shop.py", "orders", "orders.jsonl", "--again")
        self.there.give(*RUN)

    def check(self) -> None:
        """The rows are those of all orders, by the proof and by a question."""
        self.there.give("verify", "shop.py")
        n = self._given
        assert self.rows("whole") == [{"total": sum(range(n)), "n": n}]
        assert self.rows("many") == ([{"n": n}] if n > 100 else [])
        (last,) = self.rows("last")
        assert last["n"] == (n - 1) % 60 + 1

    def rows(self, table: str) -> list[Any]:
        text = self.there.give("query", "shop.py", f"from {table}", "--format", "json")
        return list(json.loads(text))


def test_one_row_is_changed_filled_again_and_built_again(
    database: Database, tmp_path: Path
) -> None:
    shop = Shop(tmp_path / "shop", database.dsn)
    for count in (90, 30):
        shop.order(count)
        shop.check()
    with database.connect() as connection:
        connection.execute("truncate whole, many, last, headrace_marks")
    shop.there.give(*RUN)
    shop.check()
    shop.define("count(*) + 1000")
    shop.there.give(*RUN, "--rebuild")
    shop.there.give("verify", "shop.py")
    assert [row["n"] for row in shop.rows("whole")] == [1120]
    shop.define("count(*)")
    shop.there.give(*RUN, "--rebuild")
    shop.there.profile("[profile.servers]\n")
    shop.there.give(*RUN)
    shop.check()


def test_one_row_that_is_changed_there_is_a_difference(database: Database, tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop", database.dsn)
    shop.order(120)
    with database.connect() as connection:
        connection.execute("update whole set total = 7")
    assert "whole" in shop.there.give("verify", "shop.py", code=1)
    shop.there.give("state", "rebuild", "shop.py", "whole")
    shop.check()


@pytest.mark.parametrize("order", [(), ("at",)], ids=["whole key", "smaller key"])
def test_deletes_and_replacing_without_a_key(database: Database, order: tuple[str, ...]) -> None:
    of = target("total", (("at", "BIGINT"), ("n", "BIGINT")), (), order=order)
    table = PostgresSystem(database.dsn).destination(of)
    assert table.open("shop", 1) is None
    assert table.deliver(delivery(of, [("u", 1, 5)]), mark(1)) == 1
    assert served(database.dsn, of) == [(1, 5)]
    assert table.deliver(delivery(of, [("u", 2, None)]), mark(2)) == 1
    assert served(database.dsn, of) == [(2, None)]
    assert table.deliver(delivery(of, [("d", 2, None)]), mark(3)) == 1
    assert served(database.dsn, of) == []
    rows = delivery(of, [("u", 3, 9)]).drop_columns(["_op"])
    for epoch in (4, 5):
        assert table.replace(rows.to_reader(), mark(epoch)) == 1
        assert served(database.dsn, of) == [(3, 9)]
    assert table.replace(rows.slice(0, 0).to_reader(), mark(6)) == 0
    assert served(database.dsn, of) == []
    table.close()
    again = PostgresSystem(database.dsn).destination(of)
    assert again.open("shop", 2) == mark(6)
    again.close()


def test_the_one_row_may_be_refused_and_sent_again(database: Database, tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop", database.dsn)
    shop.order(50)
    with database.connect() as connection:
        connection.execute("alter table whole add constraint few check (n < 60)")
    shop.order(50)
    shop.there.give("verify", "shop.py", code=1)
    shop.there.give("verify", "shop.py", "--allow-refused")
    with database.connect() as connection:
        connection.execute("alter table whole drop constraint few")
    shop.there.give("dead-letters", "replay", "shop.py")
    shop.check()
