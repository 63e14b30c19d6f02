"""What a job does between its epochs never ends it: what cannot be done is tried the next time.

That is to say to its topics how far it is, and to let retention take from them.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import headrace.testing
from headrace.storage.topics.directory import locked
from headrace.storage.topics.log import LocalTopic
from headrace.storage.topics.writer import Limits
from headrace.testing.driver import Driver
from headrace.testing.records import append
from headrace.values.errors import Busy
from tests.views.cases import START, thing, things

# Stops itself in the middle of an append, as Ctrl-Z may.
_STOPPED = """
import signal, sys
from pathlib import Path
from types import SimpleNamespace
import pyarrow as pa
from headrace.storage.topics.log import LocalTopic
from headrace.values import points

points._name, points._left = "log.written", 1
points.signal = SimpleNamespace(SIGKILL=signal.SIGSTOP)
LocalTopic.open(Path(sys.argv[1]), "things").append(pa.array([b"{}"]))
"""


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


@contextmanager
def stopped(topic: LocalTopic) -> Iterator[None]:
    """A process that keeps the topic's lock, and is stopped."""
    child = subprocess.Popen([sys.executable, "-c", _STOPPED, str(topic.path.parent)])
    try:
        _, status = os.waitpid(child.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status), status
        yield
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()


def test_a_stopped_ingest_stops_no_job(driver: Driver) -> None:
    topic, runner = filled(driver), runner_of(driver)
    done = threading.Event()

    def run() -> None:
        runner.run("caught-up")
        done.set()

    with stopped(topic):
        thread = threading.Thread(target=run)
        thread.start()
        ended = done.wait(100)
        registered = topic.readers()
    # Nobody keeps the lock now: also a run that waits for it comes to its end.
    thread.join()
    assert ended and topic.begin_offsets() == [0]
    assert registered.get(runner.job.id) in (None, [0])
    runner.run("caught-up")
    assert topic.begin_offsets() != [0]
    driver.verify()


def test_who_has_other_work_is_told_that_the_topic_is_locked(tmp_path: Path) -> None:
    topic = LocalTopic.create(tmp_path, "t", 1)
    with locked(topic.path):
        with pytest.raises(Busy, match='keeps topic "t" locked'):
            topic.register_reader("r", [0])
        with pytest.raises(Busy, match='keeps topic "t" locked'):
            topic.retain(bytes_max=1, patience_seconds=0)
    topic.register_reader("r", [0])


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
