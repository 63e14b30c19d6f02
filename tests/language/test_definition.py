"""Definitions: jobs, sources and destinations as they were called."""

from __future__ import annotations

import pytest

import headrace.language as hr
from headrace.values.errors import DefinitionError
from tests.plan.samples import Click, activity, clicks


def test_an_app_is_the_job_of_its_name() -> None:
    app = activity()
    (job,) = app.jobs
    assert job is app
    assert [source.topic for source in job.sources] == ["user_activity"]
    assert [(o.role, o.name) for o in job.outputs] == [
        ("table", "page_view_counts"),
        ("table", "active_users"),
        ("table", "session_history"),
        ("table", "user_sessions"),
        ("lake", "activity"),
        ("topic", "enriched_activity"),
    ]


def test_jobs_by_name() -> None:
    app = hr.Definition("esports")
    matches, players = app.job("matches"), app.job("players")
    assert app.job("matches") is matches
    assert [job.id for job in app.jobs] == ["esports.matches", "esports.players"]
    stream = matches.source(Click, topic="clicks")
    matches.table("by_user", stream.by("user_id").agg(n="count(*)"))
    assert players.outputs == []


def test_a_destination_has_a_name_of_its_own_whatever_its_role() -> None:
    app, stream = clicks()
    app.lake("kept", stream)
    counted = stream.by("user_id").agg(n="count(*)")
    with pytest.raises(DefinitionError, match='two destinations are called "kept"'):
        app.table("kept", counted)
    with pytest.raises(DefinitionError, match='two destinations are called "kept"'):
        app.topic("kept", stream)
    app.table("counted", counted)
    assert [o.name for o in app.outputs] == ["kept", "counted"]


def test_a_wide_table_has_its_key_in_two_parts() -> None:
    app, stream = clicks()
    app.wide_table("wide", stream, partition_by="day", cluster_by=("user_id", "page_url"))
    (output,) = app.outputs
    assert output.key == ("day", "user_id", "page_url")
    assert output.partition_by == ("day",)
    assert output.cluster_by == ("user_id", "page_url")


def test_what_a_notebook_shows() -> None:
    app = activity()
    app.job("more").source(Click, topic="clicks")
    assert repr(app).splitlines() == [
        "app activity",
        "  source user_activity (UserActivity)",
        "  table page_view_counts",
        "  table active_users",
        "  table session_history",
        "  table user_sessions by user_id",
        "  lake activity",
        "  topic enriched_activity",
        "  job activity.more",
        "    source clicks (Click)",
    ]
    assert app._repr_html_().startswith("<b>app activity</b>")
