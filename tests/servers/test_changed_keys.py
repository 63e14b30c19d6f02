"""A view's key becomes larger or smaller: its table in PostgreSQL is made again, and filled."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.servers.names import Database
from tests.servers.place import Place

APP = """
from datetime import datetime
import headrace as hr

class Order(hr.Event):
    at: datetime
    user_id: str
    country: str

app = hr.App("shop")
orders = app.source(Order, topic="orders", time="at", partitions=1)
app.lake("orders", orders)
app.table("spent", orders.by({by}).agg(n="count(*)"))
"""
SMALL, LARGE = '"user_id"', '"user_id", "country"'
RUN = ("run", "shop.py", "--rebuild", "--until", "caught-up")


@pytest.mark.parametrize(
    ("before", "now"), [(SMALL, LARGE), (LARGE, SMALL)], ids=["larger", "smaller"]
)
def test_the_remedy_is_all_that_is_to_do(
    database: Database, tmp_path: Path, before: str, now: str
) -> None:
    place = Place(tmp_path, f'[profile.servers]\ntables = "{database.dsn}"\n')
    wanted = {SMALL: [("a", 4), ("b", 2)], LARGE: [("a", "de", 2), ("a", "fr", 2), ("b", "de", 2)]}

    def run(by: str) -> None:
        (tmp_path / "shop.py").write_text(APP.format(by=by))
        place.give(*RUN)
        place.give("verify", "shop.py")
        with database.connect() as connection:
            found = connection.execute(f"select {by}, n from spent order by 1, 2").fetchall()
        assert found == wanted[by]

    lines = [
        {"at": f"2026-03-01T10:00:0{n}Z", "user_id": user, "country": country}
        for n, (user, country) in enumerate([("a", "de"), ("a", "fr"), ("b", "de")] * 2)
    ]
    (tmp_path / "shop.py").write_text(APP.format(by=before))
    (tmp_path / "orders.jsonl").write_text("\n".join(map(json.dumps, lines)))
    place.give("ingest", "shop.py", "orders", "orders.jsonl")
    run(before)
    (tmp_path / "shop.py").write_text(APP.format(by=now))
    told = place.give(*RUN, code=5)
    assert '"spent" does not fit: it was made for the key (' in told
    with database.connect() as connection:
        (remedy,) = [line for line in told.splitlines() if line.startswith("drop table")]
        connection.execute(remedy)
    run(now)
