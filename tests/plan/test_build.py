"""From definitions to plans."""

from __future__ import annotations

import pytest

from headrace.plan.build import build
from headrace.plan.operators import (
    AggregateCall,
    Column,
    Dedupe,
    Explode,
    Filter,
    Job,
    Output,
    Project,
    SessionGap,
    SessionMarks,
    Slide,
    Stream,
    Top,
    Tumble,
    View,
)
from tests.plan.samples import Click, activity, clicks, matches


def only_job(definition: object) -> Job:
    (job,) = build(definition).jobs  # type: ignore[arg-type]
    return job


def names(columns: tuple[Column, ...]) -> list[str]:
    return [c.name + ("*" if c.key else "") for c in columns]


def one_view(view: object, key: object = None) -> View:
    """The view that a table of `view` gives; `view` is of the stream of `clicks()`."""
    app = view.job  # type: ignore[attr-defined]
    app.table("t", view, key=key)
    (made,) = only_job(app).views
    return made


def test_the_example_of_the_product_page() -> None:
    job = only_job(activity())
    counts, users, sessions = job.views
    assert [v.name for v in job.views] == ["page_view_counts", "active_users", "session_history"]
    assert counts.window == Tumble(60_000_000)
    assert names(counts.columns) == ["window_start*", "window_end", "page_url*", "view_count"]
    assert users.window == Slide(300_000_000, 60_000_000)
    assert names(users.columns) == ["window_start*", "window_end", "active_user_count"]
    assert isinstance(sessions.window, SessionMarks)
    assert names(sessions.columns) == [
        "user_id*",
        "session_start_time*",
        "session_end_time",
        "session_duration_seconds",
        "ended_by",
        "event_count",
    ]
    lake, topic = job.streams
    assert lake.whole
    assert [a.name for a in lake.added] == ["event_date"]
    assert lake.columns[-1] == Column("event_date", "DATE")
    assert topic.whole
    assert topic.added[0].expression.sql == "_processing_time"
    assert topic.added[0].expression.changes_with_run
    assert job.outputs == (
        Output("page_view_counts", "table", "page_view_counts", ("window_start", "page_url")),
        Output("active_users", "table", "active_users", ("window_start",)),
        Output("session_history", "table", "session_history", ("user_id", "session_start_time")),
        Output(
            "user_sessions",
            "table",
            "session_history",
            ("user_id",),
            order=("session_start_time",),
        ),
        Output("activity", "lake", "activity", partition_by=("event_date",)),
        Output("enriched_activity", "topic", "enriched_activity", ("user_id",)),
    )


def test_nested_events_and_exploded_lists() -> None:
    app, stream = matches()
    rows = stream.where("info.gameDuration >= 300", reason="remake").explode("info.participants")
    app.table(
        "champion_stats",
        rows.by("participants.championName").agg(
            games="count(*)",
            win_rate="100.0 * count(*) filter (where participants.win) / count(*)",
            avg_kda="avg(participants.kills / greatest(participants.deaths, 1))",
        ),
    )
    app.lake(
        "lol_matches",
        stream.with_columns(match_date="cast(make_timestamp(info.gameCreation * 1000) as date)"),
        partition_by="match_date",
    )
    job = only_job(app)
    (view,) = job.views
    where, explode = view.steps
    assert isinstance(where, Filter)
    assert where.reason == "remake"
    assert isinstance(explode, Explode)
    assert (explode.values.sql, explode.name) == ("(info).participants", "participants")
    assert view.keys[0].expression.sql == "(participants).championName"
    assert names(view.columns) == ["championName*", "games", "win_rate", "avg_kda"]
    assert job.sources[0].time == "info.gameCreation"
    assert job.sources[0].time_unit == "ms"
    assert job.sources[0].key == "metadata.matchId"


def test_aggregates_become_calls_that_stand_once() -> None:
    _, stream = clicks()
    view = one_view(
        stream.by("user_id").agg(
            n="count(*)",
            total="sum(amount)",
            mean="sum(amount) / count( * )",
            paid="count_if(paid)",
            also_paid="count(*) filter (where paid)",
            mid="median(score)",
            top="argmax(page_url, amount)",
            users="count(distinct page_url)",
            least="min(distinct amount)",
            both="count_if(paid) filter (where amount > 1)",
        )
    )
    calls = {c.id: c for c in view.aggregates}
    assert [(c.function, [a.sql for a in c.arguments]) for c in calls.values()] == [
        ("count_star", []),
        ("sum", ["amount"]),
        ("count_star", []),
        ("quantile_cont", ["score"]),
        ("arg_max", ["page_url", "amount"]),
        ("count", ["page_url"]),
        ("min", ["amount"]),
        ("count_star", []),
    ]
    assert calls["a2"].filter is not None
    assert calls["a2"].filter.sql == "paid"
    assert calls["a3"].constants == ("0.5",)
    assert calls["a5"].distinct
    assert not calls["a6"].distinct
    assert calls["a7"].filter is not None
    assert calls["a7"].filter.sql == "(paid AND (amount > 1))"
    results = {r.name: r.expression for r in view.results}
    assert results["total"].sql == "CAST(a1 AS BIGINT)"
    assert (calls["a1"].type, results["total"].type) == ("HUGEINT", "BIGINT")
    assert results["mean"].sql == '(a1 / "nullif"(a0, 0))'
    assert results["paid"].sql == results["also_paid"].sql == "a2"


@pytest.mark.parametrize(
    ("aggregate", "type_"),
    [
        ("count(*)", "BIGINT"),
        ("count()", "BIGINT"),
        ("count(note)", "BIGINT"),
        ("sum(amount)", "BIGINT"),
        ("sum(price)", "DECIMAL(38,2)"),
        ("sum(score)", "DOUBLE"),
        ("avg(price)", "DOUBLE"),
        ("mean(amount)", "DOUBLE"),
        ("min(event_time)", "TIMESTAMP"),
        ("max_by(page_url, score)", "VARCHAR"),
        ("min_by(day, score)", "DATE"),
        ("stddev(amount)", "DOUBLE"),
        ("variance(amount)", "DOUBLE"),
        ("approx_count_distinct(user_id)", "BIGINT"),
        ("approx_quantile(score, 0.9)", "DOUBLE"),
        ("quantile(amount, 0.9)", "BIGINT"),
        ("quantile_cont(score, [0.1, 0.9])", "DOUBLE[]"),
        ("first(page_url)", "VARCHAR"),
        ("last(price)", "DECIMAL(18,2)"),
        ("list(page_url)", "VARCHAR[]"),
        ("array_agg(amount)", "BIGINT[]"),
        ("bool_and(paid)", "BOOLEAN"),
        ("bit_xor(amount)", "BIGINT"),
        ("len(list(tags))", "BIGINT"),
        ("count(distinct (user_id, page_url))", "BIGINT"),
        ("arg_max({'u': page_url, 'e': event_time}, amount)", "STRUCT(u VARCHAR, e TIMESTAMP)"),
        ("array_to_string(list(page_url), ', ')", "VARCHAR"),
        ("round(100.0 * count(*) filter (where paid) / count(*), 1)", "DOUBLE"),
        ("case when count(*) > 10 then 'many' else 'few' end", "VARCHAR"),
        ("max(epoch(event_time)) - min(epoch(event_time))", "DOUBLE"),
    ],
)
def test_types_of_aggregates(aggregate: str, type_: str) -> None:
    _, stream = clicks()
    view = one_view(stream.agg(x=aggregate))
    assert view.columns[-1].type == type_


def test_a_running_total_without_key_is_one_row() -> None:
    app, stream = clicks()
    app.table("t", stream.agg(n="count(*)"))
    job = only_job(app)
    assert job.outputs[0].key == ()
    assert job.views[0].keys == ()
    assert job.views[0].window is None


def test_where_and_top_on_the_result() -> None:
    _, stream = clicks()
    view = one_view(
        stream.tumble("1 hour")
        .by("kind", "page_url")
        .agg(n="count(*)", v="sum(score)")
        .where("n > 1")
        .where("KIND = 'view'")
        .top(3, by="V", per="Kind")
    )
    assert view.having is not None
    assert view.having.sql == "((n > 1) AND (kind = 'view'))"
    assert view.having.columns == ("n", "kind")
    assert view.top == Top(3, "v", ("kind",))
    assert view.columns[-1] == Column("rank", "BIGINT")


def test_a_stream_into_a_table_keeps_its_latest_row() -> None:
    app, stream = clicks()
    rows = stream.select("user_id", "note", spent="amount * 2")
    app.table("latest", rows, key="USER_ID")
    app.index("found", rows, key="user_id")
    job = only_job(app)
    (view,) = job.views
    assert view.latest
    assert view.keys[0].name == "user_id"
    assert names(view.columns) == ["user_id*", "note", "spent"]
    (call,) = view.aggregates
    assert isinstance(call, AggregateCall)
    assert (call.function, call.type) == ("last_row", "STRUCT(x0 VARCHAR, x1 BIGINT)")
    assert [a.sql for a in call.arguments] == ["note", "spent"]
    assert [r.expression.sql for r in view.results] == ["(a0).x0", "(a0).x1"]
    assert [o.input for o in job.outputs] == ["latest", "latest"]


def test_a_table_of_nothing_but_its_key() -> None:
    app, stream = clicks()
    app.table("users", stream.select("user_id"), key="user_id")
    (view,) = only_job(app).views
    assert names(view.columns) == ["user_id*"]
    assert [a.sql for a in view.aggregates[0].arguments] == ["user_id"]
    assert view.results == ()


def test_equal_views_stand_once_however_they_are_written() -> None:
    app, stream = clicks()
    one = stream.where("kind = 'view'").by("user_id").agg(n="count(*)")
    two = stream.where("KIND  =  'view'").by(user_id="user_id").agg(n="count( * )")
    three = stream.where("kind = 'view'", reason="other").by("user_id").agg(n="count(*)")
    app.table("one", one)
    app.index("two", two)
    app.table("three", three)
    job = only_job(app)
    assert [v.name for v in job.views] == ["one", "three"]
    assert [o.input for o in job.outputs] == ["one", "one", "three"]


@pytest.mark.parametrize(
    ("make", "whole", "added"),
    [
        (lambda s: s, True, []),
        (lambda s: s.with_columns(x="amount = 1"), True, ["x"]),
        # A row on which it overflows is failed: then the lake lacks an event.
        (lambda s: s.with_columns(x="amount + 1"), False, ["x"]),
        (lambda s: s.with_columns(x="amount").with_columns(y="x"), True, ["x", "y"]),
        (lambda s: s.with_columns(amount="amount + 1"), False, ["amount"]),
        (lambda s: s.with_columns(Amount="amount + 1"), False, ["amount"]),
        (lambda s: s.with_columns(amount="amount"), True, []),
        (lambda s: s.where("paid"), False, []),
        (lambda s: s.dedupe(by="user_id"), False, []),
        (lambda s: s.explode("tags", name="tag"), False, ["tag"]),
        (lambda s: s.explode("tags"), False, ["tags"]),
        (lambda s: s.select("user_id", who="user_id"), False, ["who"]),
        (lambda s: s.select(*[f.name for f in s.source.schema.fields]), True, []),
    ],
)
def test_whether_a_stream_is_its_source_whole(make: object, whole: bool, added: list[str]) -> None:
    app, stream = clicks()
    app.lake("all", make(stream))  # type: ignore[operator]
    (made,) = only_job(app).streams
    assert isinstance(made, Stream)
    assert made.whole is whole
    assert [a.name for a in made.added] == added


def test_an_element_may_take_the_place_of_its_list() -> None:
    app, stream = clicks()
    app.lake("all", stream.explode("tags").where("tags = 'a'"))
    (made,) = only_job(app).streams
    explode, project, where = made.steps
    assert isinstance(explode, Explode)
    assert explode.name == "_exploded"
    assert isinstance(project, Project)
    assert project.columns[-1].name == "tags"
    assert project.columns[-1].expression.sql == "_exploded"
    assert [c.name for c in made.columns][-1] == "tags"
    assert made.columns[-1].type == "VARCHAR"
    assert isinstance(where, Filter)


def test_dedupe_by_the_key_under_another_name() -> None:
    app, stream = matches()
    rows = stream.select(id="metadata.matchId").dedupe(by=("ID", "1"), within="1 day")
    app.lake("all", rows)
    (made,) = only_job(app).streams
    step = made.steps[-1]
    assert isinstance(step, Dedupe)
    assert [e.sql for e in step.by] == ["id", "1"]
    assert step.within_us == 86_400_000_000


def test_a_slide_of_its_own_size_is_a_tumble() -> None:
    _, stream = clicks()
    view = one_view(stream.slide("1 hour", every="1 hour", offset="5 minutes").agg(n="count(*)"))
    assert view.window == Tumble(3_600_000_000, 300_000_000)


def test_sessions_by_gap() -> None:
    _, stream = clicks()
    view = one_view(stream.session(gap="5 minutes").by("user_id").agg(n="count(*)"))
    assert view.window == SessionGap(300_000_000)


def test_smaller_keys_keep_the_greatest_row() -> None:
    app, stream = clicks()
    view = stream.tumble("1 hour").by("user_id", "page_url").agg(n="count(*)")
    app.table("a", view, key="user_id")
    app.table("b", view, key=("page_url", "WINDOW_START"))
    app.table("c", view, key=("page_url", "user_id", "window_start"))
    a, b, c = only_job(app).outputs
    assert (a.key, a.order) == (("user_id",), ("window_start", "page_url"))
    assert (b.key, b.order) == (("page_url", "window_start"), ("window_start", "user_id"))
    assert (c.key, c.order) == (("page_url", "user_id", "window_start"), ())


def test_roles() -> None:
    app, stream = clicks()
    view = stream.tumble("1 hour").by("kind", "page_url").agg(n="count(*)")
    app.ranking("best", view, score="N")
    app.wide_table("wide", view, partition_by="kind", cluster_by=("page_url", "window_start"))
    app.lake("hours", view, emit="final", partition_by="kind")
    app.topic("changes", view, key="page_url", partitions=5, emit="final")
    app.topic("keyless", stream, key=())
    app.topic("keyed", stream.select("page_url", who="user_id"))
    ranking, wide, lake, changes, keyless, keyed = only_job(app).outputs
    assert (ranking.score, ranking.key) == ("n", ("window_start", "kind", "page_url"))
    assert wide.key == ("kind", "page_url", "window_start")
    assert (wide.partition_by, wide.cluster_by) == (("kind",), ("page_url", "window_start"))
    assert (lake.emit, lake.partition_by, lake.key) == ("final", ("kind",), ())
    assert (changes.key, changes.partitions, changes.emit) == (("page_url",), 5, "final")
    assert keyless.key == ()
    assert keyed.key == ("who",)


def test_jobs_have_ids_and_states_of_their_own() -> None:
    app, stream = clicks()
    app.table("t", stream.by("user_id").agg(n="count(*)"))
    other = app.job("other")
    again = other.source(Click, topic="clicks", key="user_id", time="event_time")
    other.table("u", again.by("user_id").agg(n="count(*)"))
    plan = build(app)
    assert [job.id for job in plan.jobs] == ["shop", "shop.other"]
    assert [v.name for job in plan.jobs for v in job.views] == ["t", "u"]


def test_building_twice_gives_the_same_plan() -> None:
    assert build(activity()) == build(activity())
