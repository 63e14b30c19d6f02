"""Views into lakes and topics: final rows once, changes as they come, corrections on top."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import headrace as hr
from headrace.ops.jobs.ask import ask
from headrace.ops.jobs.states import reset
from headrace.storage.topics.log import LocalTopic

from .test_definitions import UserActivity, fill, holds, rows, settings


def make() -> hr.App:
    app = hr.App("f")
    source = app.source(
        UserActivity, topic="user_activity", key="user_id", time="event_time", lateness="2 minutes"
    )
    counts = source.tumble("1 minute").by("page_url").agg(n="count(*)")
    sliding = source.slide("4 minutes", every="2 minutes").agg(n="count(*)")
    gaps = source.session(gap="3 minutes").by("user_id").agg(n="count(*)")
    app.lake("final_counts", counts, emit="final")
    app.topic("count_changes", counts)
    app.topic("final_sliding", sliding, emit="final")
    app.topic("gap_changes", gaps)
    app.lake("final_gaps", gaps, emit="final")
    app.table("gaps", gaps)
    app.lake("events", source)
    return app


def late_of(app: hr.App, data: Path, view: str) -> Any:
    return rows(app, data, f"select late from conservation where name = '{view}'")[0]["late"]


def test_views_into_lakes_and_topics_hold_before_and_after_a_recompute(tmp_path: Path) -> None:
    app = make()
    fill(tmp_path, 15_000)
    app.run(until="caught-up", data=tmp_path)
    assert holds(app, tmp_path)
    assert late_of(app, tmp_path, "final_counts") > 0
    closed = rows(
        app,
        tmp_path,
        "select count(*) as n, count(distinct (window_start, page_url)) as d"
        " from lake.final_counts",
    )[0]
    assert closed["n"] == closed["d"] > 0
    report = ask(app.plan.jobs[0], settings(tmp_path), "recompute", {}).header
    assert report["corrections"] > 0
    assert holds(app, tmp_path)
    corrected = rows(app, tmp_path, "select count(*) as n from lake.final_counts where _correction")
    assert corrected[0]["n"] > 0
    told = rows(
        app,
        tmp_path,
        "select count(*) as n from topic.final_sliding "
        "where contains(value, '\"_correction\":true')",
    )
    assert told[0]["n"] > 0
    fill(tmp_path, 5_000, seed=9)
    app.run(until="caught-up", data=tmp_path)
    assert holds(app, tmp_path)


def test_rows_without_a_key_are_told_again_under_the_same_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A null is a group, and so is everything: each has one row, however often it changes."""
    monkeypatch.setenv("HEADRACE_EPOCH_RECORDS_MAX", "300")
    app = hr.App("keyless")
    source = app.source(
        UserActivity, topic="user_activity", key="user_id", time="event_time", lateness="2 minutes"
    )
    named = source.with_columns(page="nullif(page_url, '/')")
    app.topic("pages", named.by("page").agg(n="count(*)"))
    app.topic("all", source.agg(n="count(*)"))
    fill(tmp_path, 2000)
    app.run(until="caught-up", data=tmp_path)
    assert holds(app, tmp_path)
    told = rows(app, tmp_path, 'select distinct key, "partition" from topic."all"')
    assert [row["key"] for row in told] == ["{}"]
    told = rows(
        app, tmp_path, "select distinct key, \"partition\" from topic.pages where key[1] = '{'"
    )
    assert [row["key"] for row in told] == ['{"page":null}']


def test_a_new_generation_corrects_what_the_last_delivered(tmp_path: Path) -> None:
    app = make()
    fill(tmp_path, 5_000)
    app.run(until="caught-up", data=tmp_path)
    assert reset("f", settings(tmp_path)) == 2
    app.run(until="caught-up", data=tmp_path)
    assert holds(app, tmp_path)
    assert late_of(app, tmp_path, "final_counts") > 0
    assert ask(app.plan.jobs[0], settings(tmp_path), "recompute", {}).header["corrections"] > 0
    assert holds(app, tmp_path)


def test_what_was_corrected_before_a_reset_waits_for_the_next_recompute(tmp_path: Path) -> None:
    """Topics and lakes keep the corrections, tables begin anew: that is said, not called wrong."""
    app, job = make(), "f"
    fill(tmp_path, 15_000)
    app.run(until="caught-up", data=tmp_path)
    plan = app.plan.jobs[0]
    assert ask(plan, settings(tmp_path), "recompute", {}).header["corrections"] > 0
    app.run(until="caught-up", data=tmp_path)
    for _ in range(2):
        reset(job, settings(tmp_path))
    app.run(until="caught-up", data=tmp_path)
    assert holds(app, tmp_path)
    (found,) = app.verify(data=tmp_path)
    assert all(c.compared for c in found.checked)
    apart = {c.name: c.note for c in found.checked if c.note}
    assert {"final_counts"} <= apart.keys() <= {"final_counts", "final_sliding", "final_gaps"}
    assert all("headrace recompute" in str(note) for note in apart.values())
    ask(plan, settings(tmp_path), "recompute", {})
    (found,) = app.verify(data=tmp_path)
    assert found.holds and not any(c.note for c in found.checked)


class Step(hr.Event):
    at: datetime
    who: str


def test_a_new_generation_takes_back_what_it_does_not_come_by(tmp_path: Path) -> None:
    """Of a topic of changes: two sessions, which an event that comes after the reset joins."""
    app = hr.App("joined")
    steps = app.source(Step, topic="steps", key="who", time="at", lateness="1 hour", partitions=1)
    app.topic("visits", steps.session(gap="15 seconds").by("who").agg(n="count(*)"))
    app.table("counts", steps.by("who").agg(n="count(*)"))

    def send(*seconds: int) -> None:
        values = [f'{{"at":"2026-01-01T00:00:{s:02}Z","who":"a"}}'.encode() for s in seconds]
        topic = LocalTopic.ensure(tmp_path / "topics", "steps", 1)
        topic.append(pa.array(values, pa.binary()))

    send(10, 30)
    app.run(until="caught-up", data=tmp_path)
    # What somebody else wrote there is no row of the view, and stays.
    visits = LocalTopic.ensure(tmp_path / "topics", "visits", 3)
    visits.append(pa.array([b'{"of": "another"}'], pa.binary()), pa.array([b"other"], pa.binary()))
    for _ in range(2):
        reset("joined", settings(tmp_path))
    assert holds(app, tmp_path)
    send(20)
    app.run(until="caught-up", data=tmp_path)
    (found,) = app.verify(data=tmp_path)
    (topic,) = (c for c in found.checked if c.name == "visits")
    assert topic.compared and [d["_kind"] for d in topic.differences] == ["unexpected"]
    told = rows(app, tmp_path, "select key, value from topic.visits where key <> 'other'::blob")
    assert sorted(row["value"] is None for row in told) == [False] * 3 + [True] * 2
    # A start later on takes nothing back.
    send(21)
    app.run(until="caught-up", data=tmp_path)
    assert len(rows(app, tmp_path, "select 1 from topic.visits")) == 7
