"""What a job does between its epochs never ends it: what cannot be done is tried the next time.

That is to say to its topics how far it is, and to let retention take from them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

import headrace.testing
from headrace.storage.topics.log import LocalTopic
from headrace.storage.topics.writer import Limits
from headrace.testing.driver import Driver
from headrace.testing.records import append
from tests.views.cases import START, thing, things


@pytest.fixture
def driver() -> Iterator[Driver]:
    app, source = things()
    app.table("t", source.by("who").agg(c="count(*)"))
    with headrace.testing.run(app, start=START) as t:
        yield t


def runner_of(t: Driver) -> Any:
    [runner] = t.runners.values()
    return runner


def filled(t: Driver) -> LocalTopic:
    """The topic with a segment for each of three records, which the job is to let go of."""
    runner = runner_of(t)
    topics, limits = runner.settings.data / "topics", Limits(segment_bytes=1)
    topic = LocalTopic.open(topics, "things", limits=limits, clock=t.clock.now_us)
    for n in range(3):
        append(topic, None, [thing(n)], 0)
    runner.settings = replace(runner.settings, retention_bytes=1)
    return topic


def test_a_disk_that_refuses_what_retention_does_ends_no_job(driver: Driver) -> None:
    topic, runner = filled(driver), runner_of(driver)
    lock = topic.path / "lock"
    lock.unlink(missing_ok=True)
    lock.mkdir()
    runner.run("caught-up")
    assert topic.begin_offsets() == [0]
    lock.rmdir()
    runner.run("caught-up")
    assert topic.begin_offsets() == [2]
    driver.verify()
