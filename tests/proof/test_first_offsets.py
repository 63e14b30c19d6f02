"""Where a job begins to read: where the topic begins then, whether anything is read or not."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pytest

import headrace as hr
from headrace.ops.jobs.states import reset
from headrace.storage.topics.log import LocalTopic
from headrace.values.errors import TopicRefused
from headrace.values.settings import load_settings
from tests.proof.letting_go import take_all


class Ping(hr.Event):
    who: str
    at: datetime


def pinging() -> hr.App:
    app = hr.App("pings")
    pings = app.source(Ping, topic="pings", key="who", time="at", partitions=1)
    app.table("counts", pings.by("who").agg(n="count(*)"))
    return app


def given(data: Path, count: int) -> LocalTopic:
    topic = LocalTopic.ensure(data / "topics", "pings", 1)
    record = b'{"who": "ann", "at": "2026-03-01T10:00:00Z"}'
    topic.append(pa.array([record] * count), keys=pa.array([b"ann"] * count))
    return topic


@pytest.mark.parametrize("again", [False, True], ids=["a new job", "reset"])
def test_a_topic_from_which_retention_took_everything_is_read_on_from_there(
    tmp_path: Path, again: bool
) -> None:
    app, topic = pinging(), given(tmp_path, 300)
    if again:
        app.run(until="caught-up", data=tmp_path)
    take_all(topic)
    if again:
        (job,) = app.plan.jobs
        settings = load_settings(directory=tmp_path, overrides={"data": tmp_path})
        reset(job.id, settings)
    for _ in range(2):
        app.run(until="caught-up", data=tmp_path)
        assert all(v.holds for v in app.verify(data=tmp_path))
    given(tmp_path, 5)
    app.run(until="caught-up", data=tmp_path)
    assert all(v.holds for v in app.verify(data=tmp_path))
    assert app.query("select n from counts", data=tmp_path).to_pylist() == [{"n": 5}]


def test_what_came_after_the_job_began_and_was_never_read_is_not_left_out_silently(
    tmp_path: Path,
) -> None:
    app, topic = pinging(), given(tmp_path, 300)
    take_all(topic)
    app.run(until="caught-up", data=tmp_path)
    given(tmp_path, 7)
    for reader in topic.readers():
        topic.forget_reader(reader)
    take_all(topic)
    with pytest.raises(TopicRefused, match="offset 300 was to be read next"):
        app.run(until="caught-up", data=tmp_path)
