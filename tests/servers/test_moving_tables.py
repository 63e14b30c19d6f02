"""Tables that move between the job's own state and PostgreSQL, and back: a profile says where."""

from __future__ import annotations

import time
from pathlib import Path

import pyarrow as pa
import pytest

from headrace.cli.loading import load_app
from headrace.storage.topics.log import LocalTopic
from tests.servers.names import Database
from tests.servers.test_refresh import LAKE, TABLES, Shop, filled, killed_at, shop

HERE = "[profile.servers]\n"


class Moving(Shop):
    """The shop, whose tables stand in the state or in the database."""

    def move(self, *, here: bool) -> None:
        self.there.profile(HERE if here else f'[profile.servers]\ntables = "{self.dsn}"\n')

    def check_here(self) -> None:
        """The proof holds, and the tables in the state are those of an undisturbed job."""
        self.there.give("verify", "shop.py")
        app, data = load_app(str(self.here / "shop.py")), self.here / str(time.monotonic_ns())
        topic = LocalTopic.ensure(data / "topics", "orders", 1)
        topic.append(pa.array(self._orders, pa.binary()))
        app.run(until="caught-up", data=data)
        there = load_app(str(self.there.directory / "shop.py"))
        for name in TABLES:
            wanted = app.query(f"from {name}", data=data).to_pylist()
            held = there.query(f"from {name}", data=self.there.directory / "d").to_pylist()
            assert sorted(map(repr, held)) == sorted(map(repr, wanted)), name
            assert wanted, name


@pytest.mark.parametrize("lake", [LAKE, ""], ids=["from the lake", "from the log"])
def test_tables_move_back_into_the_state_and_out_again(
    database: Database, tmp_path: Path, lake: str
) -> None:
    job = Moving(tmp_path, database.dsn)
    job.define(shop(lake=lake))
    job.order(300)
    job.run()
    job.move(here=True)
    assert set(filled(job.run())) == set(TABLES)
    job.check_here()
    assert filled(job.run()) == {}
    job.order(200)
    job.run()
    job.check_here()
    job.move(here=False)
    assert set(filled(job.run())) == set(TABLES)
    job.check()
    job.order(200)
    assert filled(job.run()) == {}
    job.check()
    job.move(here=True)
    job.order(100)
    assert set(filled(job.run())) == set(TABLES)
    job.check_here()


def test_a_question_after_the_move_is_answered_from_filled_tables(
    database: Database, tmp_path: Path
) -> None:
    job = Moving(tmp_path, database.dsn)
    job.order(300)
    job.run()
    job.move(here=True)
    said = job.there.give("query", "shop.py", "select sum(total) as total from revenue")
    assert str(sum(range(300))) in said
    assert "table revenue: it stood elsewhere until now; it is filled again from" in said
    job.check_here()


def test_a_job_killed_before_its_first_note_fills_the_state(
    database: Database, tmp_path: Path
) -> None:
    job = Moving(tmp_path, database.dsn)
    job.order(300)
    with killed_at("postgres.committed:3"):
        job.run(code=-9)
    job.move(here=True)
    assert filled(job.run())
    job.check_here()


@pytest.mark.parametrize("point", ["state.before_commit:4", "state.committed:4"])
def test_a_job_killed_while_it_fills_the_state_goes_on_filling(
    database: Database, tmp_path: Path, point: str
) -> None:
    job = Moving(tmp_path, database.dsn)
    job.order(300)
    job.run()
    job.move(here=True)
    with killed_at(point):
        job.run(code=-9)
    job.run()
    job.check_here()


def test_a_changed_view_moves_back_as_it_is_built_again(database: Database, tmp_path: Path) -> None:
    job = Moving(tmp_path, database.dsn)
    job.order(300)
    job.run()
    job.move(here=True)
    job.define(shop(n="count(*) + 10"))
    job.run(code=5)
    job.there.give("run", "shop.py", "--until", "caught-up", "--rebuild")
    job.there.give("verify", "shop.py")
    assert job.rows("select min(n) as n from per_minute")[0]["n"] > 10
    assert job.rows("select sum(total) as t from revenue")[0]["t"] == sum(range(300))


def test_where_nothing_reaches_back_the_tables_can_stay_where_they_were(
    database: Database, tmp_path: Path
) -> None:
    job = Moving(tmp_path, database.dsn)
    job.define(shop(lake=""))
    for _ in range(2):
        job.order(150)
        job.run()
    before = job.rows("from revenue order by all")
    topic = LocalTopic.open(job.there.directory / "d" / "topics", "orders")
    deadline = time.monotonic() + 60
    while topic.begin_offsets() == [0]:
        assert time.monotonic() < deadline, "retention took nothing"
        topic.retain(1, 1)
    job.move(here=True)
    for _ in range(2):
        said = job.run(code=5)
        assert "cannot be computed again" in said and "headrace state reset" in said
    job.move(here=False)
    assert filled(job.run()) == {}
    assert job.rows("from revenue order by all") == before
    job.move(here=True)
    job.there.give("state", "reset", "shop.py", "--yes")
    job.order(50)
    job.run()
    job.there.give("verify", "shop.py")
