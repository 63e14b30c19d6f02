"""How a run ends, also where something fails at its beginning or at its end."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import duckdb
import pytest

import headrace.testing
from headrace.storage.topics.log import LocalTopic
from headrace.storage.topics.writer import Limits
from headrace.testing.driver import Driver
from headrace.testing.records import append
from headrace.values.errors import DiskRefused, Unreachable
from headrace.values.telemetry import Event, SourceBack, SourceDown
from tests.views.cases import START, thing, things


def driver() -> Any:
    app, source = things()
    app.table("t", source.by("who").agg(c="count(*)"))
    app.lake("every", source)
    return headrace.testing.run(app, start=START)


def runner_of(t: Driver) -> Any:
    [runner] = t.runners.values()
    return runner


def test_whoever_calls_is_served_after_a_run_that_could_not_begin(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with driver() as t:
        runner = runner_of(t)

        def away() -> list[int]:
            raise Unreachable("the broker is away")

        with monkeypatch.context() as broken:
            broken.setattr(runner.engine.readers["things"].topic, "end_offsets", away)
            broken.setattr("headrace.engines.embedded.deliveries.outage.PATIENCE_SECONDS", -1.0)
            with pytest.raises(Unreachable):
                runner.run("caught-up")
        assert not runner.running
        done: list[int] = []
        thread = threading.Thread(target=lambda: done.append(runner.call(lambda: 1)), daemon=True)
        thread.start()
        thread.join(10)
        assert done == [1]


def test_who_catches_up_asks_again_where_the_first_look_is_not_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with driver() as t:
        runner, told = runner_of(t), list[Event]()
        topic = runner.engine.readers["things"].topic
        append(topic, None, [thing(n) for n in range(3)], 0)
        ends, tries = topic.end_offsets, iter([True, True])

        def away_twice() -> list[int]:
            if next(tries, False):
                raise Unreachable("the broker is away")
            return list(ends())

        monkeypatch.setattr(topic, "end_offsets", away_twice)
        runner.tell = told.append
        runner.run("caught-up")
        assert runner.records == 3 and runner.silence is None
        kinds = [type(e) for e in told if isinstance(e, SourceDown | SourceBack)]
        assert kinds == [SourceDown, SourceDown, SourceBack]


def test_everything_is_closed_where_the_last_note_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    with driver() as t:
        t.send("things", [thing(n) for n in range(3)])
        assert t.rows("t")
        runner = runner_of(t)

        def full(_: object) -> None:
            raise DiskRefused("no space")

        with monkeypatch.context() as broken:
            broken.setattr(runner, "note", full)
            with pytest.raises(DiskRefused):
                t.close()
        with pytest.raises(duckdb.ConnectionException):
            runner.store.rows("select 1")
        t.open()
        t.verify()


def test_a_run_that_ends_at_once_lets_retention_take_what_it_read() -> None:
    with driver() as t:
        runner = runner_of(t)
        # A segment for each append.
        topics, limits = runner.settings.data / "topics", Limits(segment_bytes=1)
        topic = LocalTopic.open(topics, "things", limits=limits, clock=t.clock.now_us)
        for n in range(3):
            append(topic, None, [thing(n)], 0)
        runner.settings = replace(runner.settings, retention_bytes=1)
        runner.run("caught-up")
        assert topic.begin_offsets() == [2]
        t.verify()
