"""A changed definition, a reset, a recompute: rows stay provable, lakes and topics exactly once."""

from __future__ import annotations

import threading
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import pytest

import headrace as hr
from headrace.apps.activity import app as activity
from headrace.ops.ingest.generator import Simulation
from headrace.ops.ingest.simulate import simulate
from headrace.ops.jobs.ask import ask
from headrace.ops.jobs.rebuilding import rebuild_job
from headrace.ops.jobs.states import reset
from headrace.storage.topics.log import LocalTopic
from headrace.values.settings import Settings, load_settings

START_US = 1_767_225_600_000_000


class UserActivity(hr.Event):
    event_time: datetime
    user_id: str
    page_url: str
    event_type: Literal["page_view", "click", "session_start", "session_end"]


def make(size: str, *, sessions: bool = False, lake: bool = True) -> hr.App:
    app = hr.App("a")
    source = app.source(
        UserActivity, topic="user_activity", key="user_id", time="event_time", lateness="2 minutes"
    )
    app.table("views", source.tumble(size).by("page_url").agg(n="count(*)"))
    app.table("totals", source.by("page_url").agg(n="count(*)"))
    if sessions:
        marked = source.session(
            starts="event_type = 'session_start'",
            ends="event_type = 'session_end'",
            timeout="30 minutes",
        )
        app.table("sessions", marked.by("user_id").agg(n="count(*)"))
    if lake:
        app.lake("events", source)
    app.topic("copy", source)
    return app


def fill(data: Path, count: int, seed: int = 7) -> None:
    topic = LocalTopic.ensure(data / "topics", "user_activity", 3)
    assert activity.generator is not None
    plan = Simulation(
        count=count, rate=20, seed=seed, start_us=START_US, late_every=50, malformed_every=1000
    )
    simulate(topic, activity.generator, plan, stop=threading.Event())


def settings(data: Path) -> Settings:
    return load_settings(overrides={"data": data})


def rows(app: hr.App, data: Path, sql: str) -> list[dict[str, Any]]:
    result: list[dict[str, Any]] = app.query(sql, data=data).to_pylist()
    return result


def holds(app: hr.App, data: Path) -> bool:
    (found,) = app.verify(data=data)
    assert found.holds, [c for c in found.checked if not c.holds] + [
        s for s in found.sums if not s.holds
    ]
    return True


@pytest.mark.parametrize("lake", [True, False], ids=["from the lake", "from the log"])
def test_a_changed_view_is_refused_then_built_again(tmp_path: Path, lake: bool) -> None:
    fill(tmp_path, 20_000)
    make("1 minute", lake=lake).run(until="caught-up", data=tmp_path)
    before = rows(make("1 minute", lake=lake), tmp_path, "from totals order by all")
    changed = make("5 minutes", sessions=True, lake=lake)
    with pytest.raises(hr.StateRefused, match=r"views \(changed\), sessions \(new\)"):
        changed.run(until="caught-up", data=tmp_path)
    report = rebuild_job(changed.plan.jobs[0], settings(tmp_path))
    assert report["views"] == ["sessions", "views"]
    assert holds(changed, tmp_path)
    assert rows(changed, tmp_path, "from totals order by all") == before
    assert rows(changed, tmp_path, "select sum(n)::int as n from totals") == [{"n": 19_980}]
    fill(tmp_path, 5_000, seed=8)
    changed.run(until="caught-up", data=tmp_path)
    assert holds(changed, tmp_path)


def test_a_changed_view_without_rebuild_leaves_the_state_as_it_was(tmp_path: Path) -> None:
    fill(tmp_path, 5_000)
    make("1 minute").run(until="caught-up", data=tmp_path)
    with pytest.raises(hr.StateRefused):
        make("5 minutes").run(until="caught-up", data=tmp_path)
    assert holds(make("1 minute"), tmp_path)


def test_a_reset_computes_again_and_delivers_nothing_twice(tmp_path: Path) -> None:
    app = make("1 minute")
    fill(tmp_path, 10_000)
    app.run(until="caught-up", data=tmp_path)
    before = rows(app, tmp_path, "from views order by all")
    assert reset("a", settings(tmp_path)) == 2
    fill(tmp_path, 2_000, seed=8)
    app.run(until="caught-up", data=tmp_path)
    assert holds(app, tmp_path)
    counts = "select count(*) as n, count(distinct (_partition, _offset)) as d from lake.events"
    assert rows(app, tmp_path, counts) == [{"n": 11_988, "d": 11_988}]
    assert rows(app, tmp_path, "select count(*) as n from topic.copy") == [{"n": 11_988}]
    assert len(rows(app, tmp_path, "from views")) >= len(before)


def test_recompute_applies_what_was_late_and_verify_holds_it(tmp_path: Path) -> None:
    app = make("1 minute", sessions=True)
    fill(tmp_path, 20_000)
    app.run(until="caught-up", data=tmp_path)
    late = rows(app, tmp_path, "select late from conservation where name = 'views'")[0]["late"]
    assert late > 0
    total = "select sum(n)::int as n from views"
    before = rows(app, tmp_path, total)[0]["n"]
    report = ask(app.plan.jobs[0], settings(tmp_path), "recompute", {}).header
    assert report["corrections"] > 0
    assert rows(app, tmp_path, total)[0]["n"] == before + late == 19_980
    assert holds(app, tmp_path)
    again = ask(app.plan.jobs[0], settings(tmp_path), "recompute", {}).header
    assert again["corrections"] == 0
