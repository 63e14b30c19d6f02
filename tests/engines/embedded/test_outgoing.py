"""The rows that destinations are given: of several epochs together, and under keys of any type."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import duckdb
import pyarrow as pa
import pytest

import headrace.testing
from headrace.engines.embedded.deliveries.outgoing import StreamRows
from headrace.engines.embedded.epochs.tables import EmbeddedTable
from headrace.plan.operators import Job, View
from tests.views.cases import thing, things

Change = tuple[str, str, int, int]
"""(_op, who, the hour in which the session starts, its number of events)."""


def _job() -> Job:
    app, source = things()
    sessions = source.session(gap="1 minute").by("who").agg(n="count(*)")
    app.table("latest", sessions, key="who")
    return app.plan.jobs[0]


def _rows(connection: duckdb.DuckDBPyConnection, view: View, changes: list[Change]) -> pa.Table:
    known = {"who": "'{1}'", "session_start_time": "'2026-01-01 {2}:00:00'", "n": "{3}"}
    columns = ", ".join(f"{known.get(c.name, 'null')}::{c.type} as {c.name}" for c in view.columns)
    made = [f"select '{c[0]}' as _op, {columns.format(*c)}" for c in changes]
    return connection.sql(" union all ".join(made)).to_arrow_table()


EPOCHS: tuple[list[Change], ...] = (
    [("u", "a", 10, 3), ("u", "b", 10, 1)],
    # Corrections, as a recompute writes them for a table with a smaller key.
    [("d", "a", 10, 3), ("u", "a", 10, 4)],
    [("d", "a", 10, 4), ("u", "a", 9, 7), ("d", "b", 10, 1)],
    [("u", "b", 11, 2)],
)


@pytest.mark.parametrize("first", range(len(EPOCHS)))
def test_epochs_that_are_joined_do_what_they_do_one_after_another(first: int) -> None:
    job = _job()
    view = job.views[0]
    connection = duckdb.connect()
    made = StreamRows(job, job.outputs[0], connection, ("at", "who", "n"))
    for count in range(1, len(EPOCHS) - first + 1):
        parts = [_rows(connection, view, epoch) for epoch in EPOCHS[first : first + count]]
        before = [_rows(connection, view, epoch) for epoch in EPOCHS[:first]]
        assert _table(connection, job, [*before, made.newest(parts)]) == _table(
            connection, job, [*before, *parts]
        )


def _table(
    connection: duckdb.DuckDBPyConnection, job: Job, deliveries: list[pa.Table]
) -> list[Any]:
    """What a table holds that took these, one after another."""
    table = EmbeddedTable(job.outputs[0], job.views[0])
    connection.execute("drop table if exists main.latest")
    table.create(connection)
    for rows in deliveries:
        connection.register("_delivered", rows)
        table.apply(connection, "_delivered")
        connection.unregister("_delivered")
    return connection.execute("from main.latest order by all").fetchall()


@pytest.mark.parametrize(("key", "keys"), [("n", ["3", "1", None]), ("at", None)])
def test_a_topic_with_a_name_that_sql_quotes_has_keys_of_any_type(
    key: str, keys: list[str | None] | None
) -> None:
    app, source = things()
    app.topic("by-number", source, key=key)
    with headrace.testing.run(app) as t:
        t.send("things", [thing(i, n=n) for i, n in enumerate((3, 1, None))])
        found = [row["key"] for row in t.rows("by-number")]
        wanted = keys or [str(datetime(2026, 1, 1, 0, 0, i)) for i in range(3)]
        assert sorted(found, key=str) == sorted(wanted, key=str)
        t.verify()


def test_records_deeper_than_python_reads_go_on() -> None:
    app, source = things()
    app.topic("told", source.with_columns(more="n"))
    with headrace.testing.run(app) as driver:
        deep, long = "[" * 5_000 + "]" * 5_000, "9" * 5_000
        odd = [f'"more": {deep}', f'"more": 1, "x": {long}', f'"caf\\u00e9": {deep}']
        driver.send(
            "things",
            [json.dumps(thing(n, n=n), default=str)[:-1] + f", {odd[n]}}}" for n in range(3)],
        )
        rows = driver.query("select value from topic.told order by all")
        assert sorted(row["value"][-9:-1] for row in rows) == [f'"more":{n}' for n in range(3)]
        driver.verify()
