"""SQL over lakes and topics: what is read for it, what it leaves behind, and who is beside it."""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import headrace.testing
from headrace.engines.embedded.query import query
from headrace.storage.topics.log import LocalTopic
from headrace.storage.topics.writer import Limits
from headrace.testing.driver import Driver
from headrace.testing.records import append
from headrace.values.errors import UsageError
from tests.views.cases import START, thing, things


@pytest.fixture
def driver() -> Any:
    app, source = things()
    app.table("t", source.by("who").agg(c="count(*)"))
    app.lake("every", source)
    app.topic("u.v", source)
    app.topic("u", source)
    with headrace.testing.run(app, start=START) as t:
        t.send("things", [thing(n) for n in range(4)])
        yield t


def runner_of(t: Driver) -> Any:
    [runner] = t.runners.values()
    return runner


@pytest.mark.parametrize(
    ("sql", "wanted"),
    [
        ("select count(*) from topic.u", 4),
        ('select count(*) from TOPIC . "u.v"', 4),
        ('select count(*) from lake.every e join topic.things on e._offset = "offset"', 4),
        ("select count(*) from (select 'é' as who, lake.every.n from lake.every)", 4),
        ("select sum(c)::bigint from t", 4),
    ],
)
def test_what_a_text_names_is_there(driver: Driver, sql: str, wanted: int) -> None:
    [[found]] = [row.values() for row in driver.query(sql)]
    assert found == wanted


def test_what_a_text_does_not_name_is_not_read(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = runner_of(driver)

    def fetch(topic: LocalTopic, *_: Any, **__: Any) -> Any:
        raise AssertionError(f"{topic.name} is read")

    monkeypatch.setattr(LocalTopic, "fetch", fetch)
    assert len(query(runner, "select 'topic.u' as u, sum(c) as v /* topic.u */ from t -- lake.u"))


@pytest.mark.parametrize("text", ["count(*)", "nothing"])
def test_what_a_query_has_opened_is_closed(
    driver: Driver, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    closed: list[str] = []
    monkeypatch.setattr(LocalTopic, "close", lambda topic: closed.append(topic.name))
    with suppress(UsageError):
        query(runner_of(driver), f"select {text} from topic.things, topic.u")
    assert sorted(closed) == ["things", "u"]


def test_a_topic_is_shown_from_where_retention_has_left_it(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner, fetch, asked = runner_of(driver), LocalTopic.fetch, list[str]()
    # A segment for each append.
    topics, limits = runner.settings.data / "topics", Limits(segment_bytes=1)
    log = LocalTopic.open(topics, "things", limits=limits)
    for n in range(3):
        append(log, None, [thing(n)], 0)
    runner.run("caught-up")

    def beside(topic: LocalTopic, *given: Any, **named: Any) -> Any:
        asked.append(topic.name)
        if len(asked) == 1:
            log.retain(bytes_max=1)
        return fetch(topic, *given, **named)

    monkeypatch.setattr(LocalTopic, "fetch", beside)
    sql = 'select "offset" as n from topic.things order by all'
    assert query(runner, sql)["n"].to_pylist() == list(range(log.begin_offsets()[0], 7))
    assert asked == ["things"] * 2 and log.begin_offsets() == [6]


def test_a_key_that_is_no_text_is_null(driver: Driver) -> None:
    topic = runner_of(driver).systems.local_topic("things", 1)
    topic.append(pa.array([b"{}"]), keys=pa.array([b"\xff\xfe"]))
    sql = "select key, value from topic.things where value = '{}'"
    [row] = query(runner_of(driver), sql).to_pylist()
    assert row == {"key": None, "value": "{}"}


def test_several_ask_at_once_and_nothing_stays(driver: Driver) -> None:
    runner, errors = runner_of(driver), []

    def ask() -> None:
        for _ in range(10):
            try:
                query(runner, "select count(*) from topic.u, lake.every")
            except UsageError as error:
                errors.append(str(error))

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with pytest.raises(UsageError):
        query(runner, "select nothing from topic.u")
    assert errors == []
    kept = "select count(*) from duckdb_databases() where database_name like 'query%'"
    assert runner.store.rows(kept) == [(0,)]


@pytest.mark.parametrize("text", ["", " \n", ";", "-- nothing"])
def test_nothing_is_no_query(driver: Driver, text: str) -> None:
    with pytest.raises(UsageError, match="the query is empty\nWrite one statement"):
        query(runner_of(driver), text)


@pytest.mark.parametrize("lake", ["", ", lake.every"])
@pytest.mark.parametrize("read", ["read_csv('{}/no.csv')", "'{}/no.parquet'", "'{}/bad.parquet'"])
def test_a_file_that_the_text_names_is_no_file_of_a_lake(
    driver: Driver, tmp_path: Path, lake: str, read: str
) -> None:
    (tmp_path / "bad.parquet").write_bytes(b"nothing of this is Parquet")
    with pytest.raises(UsageError, match=f"the query is refused: .*{tmp_path}"):
        query(runner_of(driver), f"select * from {read.format(tmp_path)}{lake}")


@pytest.mark.parametrize(
    ("sql", "wanted"),
    [
        ("select offset from dead_letters limit 1", True),
        ("select 'é', Partition, OFFSET from dead_letters order by offset", True),
        ("select max(offset) from topic.things", True),
        ("select nothing from from dead_letters limit 1 offset 2", False),
        ("select from dead_letters", False),
    ],
)
def test_a_column_that_is_a_word_of_sql_is_named(driver: Driver, sql: str, wanted: bool) -> None:
    with pytest.raises(UsageError, match="Parser Error") as told:
        query(runner_of(driver), sql)
    assert ('"offset" is also a word of SQL' in str(told.value.remedy)) == wanted
    if wanted:
        mended = sql.replace("offset", '"offset"').replace("OFFSET", '"offset"')
        assert len(query(runner_of(driver), mended)) <= 1
