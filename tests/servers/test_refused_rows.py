"""Rows that a database refuses: told, left out of the proof where that is allowed, sent again."""

from __future__ import annotations

import json
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from headrace.cli.loading import load_app
from headrace.proof import refusals
from tests.servers.live import until
from tests.servers.names import Database
from tests.servers.place import Place

APP = """
from datetime import datetime
import headrace as hr

class Order(hr.Event):
    at: datetime
    country: str | None
    amount: int

app = hr.App("shop")
orders = app.source(Order, topic="orders", key="country", time="at", partitions=1)
app.table("revenue", orders.by("country").agg(total="sum(amount)"))
app.table("minutes", orders.tumble("1 minute").by("country").agg(total="sum(amount)"))
"""
RUN = ["run", "shop.py", "--until", "caught-up"]


def order(place: Place, *rows: tuple[str | None, int]) -> None:
    ingest(place, *rows)
    place.give(*RUN)


def ingest(place: Place, *rows: tuple[str | None, int]) -> None:
    lines = [{"at": "2026-03-01T10:00:00Z", "country": c, "amount": n} for c, n in rows]
    (place.directory / "orders.jsonl").write_text("\n".join(map(json.dumps, lines)))
    place.give("ingest", "shop.py", "orders", "orders.jsonl", "--again")


def test_rows_that_a_table_refuses(database: Database, tmp_path: Path) -> None:
    place = Place(tmp_path, f'[profile.servers]\ntables = "{database.dsn}"\n')
    (tmp_path / "shop.py").write_text(APP)
    order(place, ("de", 1), ("fr", 2))
    with database.connect() as connection:
        for table in ("revenue", "minutes"):
            connection.execute(f"alter table {table} add constraint small check (total < 5)")
        order(place, ("de", 9), ("fr", 1), (None, 7))

        def served(table: str) -> list[tuple[str | None, int]]:
            sql = f"select country, total from {table} order by country nulls last"
            return list(connection.execute(sql).fetchall())

        assert served("revenue") == served("minutes") == [("de", 1), ("fr", 3)]
        told = place.give("verify", "shop.py", code=1)
        assert "4 rows refused" in told and "headrace dead-letters replay" in told
        assert "different" not in told
        place.give("verify", "shop.py", "--allow-refused")
        # Still refused: it says so again, and counts them once.
        place.give("dead-letters", "replay", "shop.py")
        place.give(*RUN)
        assert "4 rows refused" in place.give("verify", "shop.py", code=1)
        # Another difference is one all the same.
        connection.execute("update revenue set total = 4 where country = 'fr'")
        assert "1 different" in place.give("verify", "shop.py", "--allow-refused", code=1)
        connection.execute("update revenue set total = 3 where country = 'fr'")
        for table in ("revenue", "minutes"):
            connection.execute(f"alter table {table} drop constraint small")
        assert "4 rows sent again" in place.give("dead-letters", "replay", "shop.py")
        place.give(*RUN)
        assert served("revenue") == served("minutes") == [("de", 10), ("fr", 3), (None, 7)]
    assert "it holds" in place.give("verify", "shop.py")
    left = place.give("query", "shop.py", "select * from refused_rows", "--format", "json")
    assert json.loads(left) == []


def test_rows_are_sent_again_while_the_job_runs(database: Database, tmp_path: Path) -> None:
    place = small(database, tmp_path)
    running = place.start("run", "shop.py")
    try:
        ingest(place, ("fr", 9), ("de", 1))
        until(lambda: total(database, "de") == 2, "the order from de")
        with database.connect() as connection:
            connection.execute("alter table revenue drop constraint small")
        assert "1 row sent again" in place.give("dead-letters", "replay", "shop.py")
    finally:
        running.send_signal(signal.SIGINT)
        running.communicate(timeout=60)
    assert "it holds" in place.give("verify", "shop.py")
    assert total(database, "fr") == 11


def test_what_came_after_a_refused_row_is_not_taken_back(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = small(database, tmp_path)
    order(place, ("fr", 9))
    with database.connect() as connection:
        connection.execute("alter table revenue drop constraint small")
    present, more = refusals._present, [("fr", 1)]

    def meanwhile(*given: Any) -> Any:
        made = present(*given)
        if more:
            ingest(place, more.pop())
            # The job stands still, or it takes this first.
            with suppress(AssertionError):
                until(lambda: total(database, "fr") == 12, "the order from fr", 2)
        return made

    monkeypatch.setattr(refusals, "_present", meanwhile)
    monkeypatch.chdir(tmp_path)
    with load_app("shop.py").start(profile="servers", data="d"):
        place.give("dead-letters", "replay", "shop.py")
    assert not more
    place.give(*RUN)
    assert "it holds" in place.give("verify", "shop.py")
    assert total(database, "fr") == 12


def small(database: Database, directory: Path) -> Place:
    """A place with an order from each of two countries, whose revenue may not come to 5."""
    place = Place(directory, f'[profile.servers]\ntables = "{database.dsn}"\n')
    (directory / "shop.py").write_text(APP)
    order(place, ("de", 1), ("fr", 2))
    with database.connect() as connection:
        connection.execute("alter table revenue add constraint small check (total < 5)")
    return place


def total(database: Database, country: str) -> int:
    with database.connect() as connection:
        sql = "select total from revenue where country = %s"
        return int(connection.execute(sql, [country]).fetchone()[0])
