"""Definitions as users write them, built and compiled: they run and have the view's columns."""

from __future__ import annotations

import json
from typing import Any

import duckdb
import pytest

from headrace.engines.batch.compare import compare_sql
from headrace.engines.batch.expected import expected, expected_stream
from headrace.engines.batch.relations import AsOf
from headrace.engines.batch.sums import reasons, sums
from headrace.engines.batch.tolerance import tolerance
from headrace.language.definition import Definition
from headrace.plan.build import build
from headrace.plan.operators import Job, Source
from headrace.values.schema import quote, sql_type
from tests.plan.samples import activity, clicks, matches

AT = 1_700_000_000_000_000
MINUTE = 60_000_000


def shop() -> Definition:
    """Views of every kind over clicks."""
    app, stream = clicks()
    cheap = stream.where("amount >= 0", reason="refund").with_columns(
        share="amount / nullif(price, 0)", at_hour="date_trunc('hour', event_time)"
    )
    everything = {
        "sold": "sum(amount)",
        "paid_share": "sum(price) / count(*)",
        "score": "avg(score)",
        "spread": "stddev(score)",
        "users": "count(distinct user_id)",
        "about": "approx_count_distinct(page_url)",
        "middle": "approx_quantile(score, 0.5)",
        "exact_middle": "median(amount)",
        "best": "arg_max(page_url, score)",
        "latest_note": "last(note)",
        "days": "list(day) filter (where paid)",
        "all_paid": "bool_and(paid)",
        "parsed": "max(cast(note as integer))",
    }
    app.table("totals", cheap.by("kind").agg(**everything))
    app.table("hourly", cheap.tumble("1 hour", offset="10 minutes").by("kind").agg(**everything))
    app.table("sliding", stream.slide("5 minutes", every="1 minute").by("kind").agg(**everything))
    app.table("gaps", stream.session(gap="5 minutes").by("user_id").agg(**everything))
    ranked = stream.tumble("1 hour").by("kind", "page_url").agg(n="count(*)", s="sum(score)")
    app.table("ranked", ranked.where("n > 1").top(3, by="s", per="kind"))
    tags = stream.explode("tags", "tag").by("tag").agg(n="count(*)")
    app.table("tags", tags)
    app.table("last_click", stream, key="user_id")
    once = stream.dedupe(by=["user_id", "page_url"], within="1 hour")
    app.table("once", once.by("page_url").agg(n="count(*)"))
    app.lake("clicks", once.with_columns(month="month(event_time)"))
    return app


def champions() -> Definition:
    app, stream = matches()
    players = stream.explode("info.participants", "p")
    made = players.by(champion="p.championName").agg(games="count(*)", kills="sum(p.kills)")
    app.table("champions", made)
    longest = stream.tumble("1 day").agg(longest="max(info.gameDuration)")
    app.table("daily", longest)
    return app


CLICK = {
    "user_id": "u",
    "page_url": "/a",
    "kind": "view",
    "amount": 2,
    "price": "1.50",
    "score": 0.1,
    "paid": True,
    "day": "2024-01-01",
    "note": None,
    "tags": ["x", "y"],
}
ROWS: dict[str, list[dict[str, Any]]] = {
    "clicks": [
        {**CLICK, "event_time": 0},
        {**CLICK, "event_time": 30, "score": 0.3, "page_url": "/b", "note": "7"},
        {**CLICK, "event_time": 30, "amount": -1, "tags": []},
        {**CLICK, "event_time": 900, "note": "seven"},
    ],
    "user_activity": [
        {"event_time": 0, "user_id": "u", "page_url": "/a", "event_type": "session_start"},
        {"event_time": 60, "user_id": "u", "page_url": "/a", "event_type": "page_view"},
        {"event_time": 70, "user_id": "u", "page_url": "/b", "event_type": "page_view"},
        {"event_time": 80, "user_id": "u", "page_url": "/a", "event_type": "session_end"},
        {"event_time": 90, "user_id": "v", "page_url": "/a", "event_type": "session_end"},
    ],
    "lol_matches": [
        {
            "metadata": {"matchId": "m"},
            "info": {
                "gameCreation": AT // 1000,
                "gameDuration": 1800,
                "participants": [
                    {"championName": "Ahri", "kills": k, "deaths": 0, "win": True} for k in (3, 4)
                ],
            },
        }
    ],
}


def loaded(source: Source) -> duckdb.DuckDBPyConnection:
    """DuckDB with the rows for `source` as its only events, one epoch, no watermark before it."""
    duck = duckdb.connect()
    duck.execute("set error_on_division_by_zero = false; set ieee_floating_point_ops = false")
    columns = ", ".join(f"{quote(f.name)} {sql_type(f.type)}" for f in source.schema.fields)
    own = "_topic_generation varchar, _partition int, _offset bigint, _replay bigint"
    duck.execute(f"create table events ({columns}, {own}, _epoch bigint, _time timestamp)")
    duck.execute("create table epochs_of_source (epoch bigint, watermark_start timestamp)")
    duck.execute("insert into epochs_of_source values (1, null)")
    for offset, row in enumerate(ROWS[source.topic]):
        given = dict(row)
        time_us = AT + given["event_time"] * 1_000_000 if "event_time" in given else AT
        moment = duck.execute("select make_timestamp(?::bigint)", [time_us]).fetchall()[0][0]
        if "event_time" in given:
            given["event_time"] = str(moment)
        structure = json.dumps({f.name: sql_type(f.type) for f in source.schema.fields})
        duck.execute(
            "insert into events select unnest(json_transform(?::json, ?::json)),"
            " 'g', 0, ?, null, 1, ?",
            [json.dumps(given), structure, offset, moment],
        )
    return duck


def jobs() -> list[tuple[str, Job]]:
    made = [("activity", activity()), ("shop", shop()), ("champions", champions())]
    return [(name, job) for name, app in made for job in build(app).jobs]


JOBS = dict(jobs())
VIEWS = [(name, view.name) for name, job in JOBS.items() for view in job.views]


def served(app: str, view_name: str, final: bool = False) -> list[dict[str, Any]]:
    job = JOBS[app]
    view = next(v for v in job.views if v.name == view_name)
    source = job.source(view.topic)
    duck = loaded(source)
    made = expected(view, source, AsOf(1, AT + 20 * MINUTE), final=final).sql
    cursor = duck.execute(made)
    names = [d[0] for d in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


@pytest.mark.parametrize(("app", "view_name"), VIEWS)
def test_rows_have_exactly_the_columns_of_the_view(app: str, view_name: str) -> None:
    job = JOBS[app]
    view = next(v for v in job.views if v.name == view_name)
    source = job.source(view.topic)
    duck = loaded(source)
    for final in (False, True):
        plain = expected(view, source, AsOf(1, AT + 20 * MINUTE), final=final).sql
        described = duck.execute(f"describe {plain}").fetchall()
        assert [d[0] for d in described] == [c.name for c in view.columns]
        for (name, type_, *_), column in zip(described, view.columns, strict=True):
            same = duck.execute(f"select typeof(null::{column.type})").fetchall()[0][0]
            assert type_ == same, name
    allowing = expected(view, source, AsOf(1, AT + 20 * MINUTE), allowances=True).sql
    columns, key = [c.name for c in view.columns], [c.name for c in view.columns if c.key]
    now = expected(view, source, AsOf(1, AT + 20 * MINUTE)).sql
    compared = compare_sql(
        columns, tolerance(view), f"({allowing})", f"({now})", key, allowances=True
    )
    assert duck.execute(compared).fetchall() == []
    [record], [row] = (
        duck.execute(sums(view, source, 1, of_rows=rows).sql).fetchall() for rows in (False, True)
    )
    assert record[0] == len(ROWS[source.topic]) == sum(record[1:6])
    assert row[0] == sum(row[1:6])


def test_a_failed_cast_leaves_out_its_row_only() -> None:
    job = JOBS["shop"]
    totals = next(v for v in job.views if v.name == "totals")
    duck = loaded(job.source("clicks"))
    [record] = duck.execute(sums(totals, job.source("clicks"), 1).sql).fetchall()
    assert record == (4, 2, 0, 1, 0, 1, 0)
    assert duck.execute(reasons(totals, job.source("clicks"), 1)).fetchall() == [("refund", 1)]
    (row,) = served("shop", "totals")
    assert (row["sold"], row["best"], row["parsed"], row["days"]) == (
        4,
        "/b",
        7,
        2 * [row["days"][0]],
    )


def test_exploded_structs() -> None:
    assert served("champions", "champions") == [{"champion": "Ahri", "games": 2, "kills": 7}]


def test_the_latest_row_of_a_stream() -> None:
    (row,) = served("shop", "last_click")
    assert (row["user_id"], row["note"], row["tags"]) == ("u", "seven", ["x", "y"])


def test_sessions_of_the_product_page() -> None:
    rows = served("activity", "session_history")
    assert [(r["user_id"], r["ended_by"], r["event_count"]) for r in rows] == [("u", "end", 4)]
    assert rows[0]["session_duration_seconds"] == 80.0


def test_streams_keep_identity_and_leave_out_what_changes_with_the_run() -> None:
    job = JOBS["activity"]
    source = job.source("user_activity")
    duck = loaded(source)
    for stream in job.streams:
        cursor = duck.execute(expected_stream(stream, source, 1))
        names = [d[0] for d in cursor.description or ()]
        assert names[:4] == ["_topic_generation", "_partition", "_offset", "_replay"]
        assert names[5:] == [c.name for c in stream.columns]
        rows = cursor.fetchall()
        assert len(rows) == 5
        if "processing_time" in names:
            assert {row[names.index("processing_time")] for row in rows} == {None}


def test_a_stream_without_its_duplicates() -> None:
    job = JOBS["shop"]
    (lake,) = job.streams
    source = job.source("clicks")
    duck = loaded(source)
    assert len(duck.execute(expected_stream(lake, source, 1)).fetchall()) == 2
    [record] = duck.execute(sums(lake, source, 1).sql).fetchall()
    assert record == (4, 2, 0, 0, 2, 0, 0)
