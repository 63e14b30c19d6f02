"""What a proof fixes: the moment, and what it has looked at there."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

import headrace.testing
from headrace.engines.embedded.runner import JobRunner
from headrace.proof import fixed as fixing
from headrace.proof.verify import verify
from headrace.storage.lake.reading import live_files
from headrace.values.errors import DestinationDown, Unreachable
from tests.views.cases import thing, things

from .test_definitions import fill, holds
from .test_view_destinations import make


def test_a_file_of_a_lake_is_hashed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lake of a source is read for its own sake, and for every view of the source."""
    app = make()
    fill(tmp_path, 3_000)
    app.run(until="caught-up", data=tmp_path)
    digest, read = hashlib.file_digest, Counter[str]()

    def counted(file: Any, *arguments: Any) -> Any:
        read[file.name] += 1
        return digest(file, *arguments)

    monkeypatch.setattr(hashlib, "file_digest", counted)
    assert holds(app, tmp_path)
    lakes = [tmp_path / "lakes" / name for name in ("events", "final_counts", "final_gaps")]
    assert read == {str(path): 1 for lake in lakes for path in live_files(lake)}
    assert len(read) >= 2
    # The next one asks the disk anew.
    assert holds(app, tmp_path)
    assert set(read.values()) == {2}


def test_the_job_reads_on_while_destinations_are_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two that are down, and one that takes its time: the proof waits, not the job."""
    monkeypatch.setattr(fixing, "_OUTAGE_SECONDS_MAX", 4.0)
    app, source = things()
    for name in ("copy", "other"):
        app.topic(name, source)
    app.table("counts", source.by("who").agg(n="count(*)"))
    with headrace.testing.run(app) as t:
        runner, stop = t.runners["views"], threading.Event()
        ledger = runner.engine.ledger
        with looping(runner, stop), ThreadPoolExecutor(1) as pool:
            for delivery in runner.deliveries:
                monkeypatch.setattr(delivery.destination, "deliver", away)
            t.send("things", [thing(0)])
            until(lambda: all(d.down for d in runner.deliveries))
            proof = pool.submit(verify, runner)
            until(lambda: any(d._flush for d in runner.deliveries))
            t.send("things", [thing(1)])
            until(lambda: ledger.epoch == 2)
            assert not proof.done()
            found = proof.result(30)
            assert set(found.undelivered) == {"copy", "other"} and not found.holds
            assert [c.name for c in found.checked] == ["counts"]
            assert found.epoch == 2, "what was committed meanwhile is part of what is fixed"
            monkeypatch.undo()


def test_a_destination_that_is_down_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fixing, "_OUTAGE_SECONDS_MAX", 0.1)
    app, source = things()
    app.topic("copy", source)
    with headrace.testing.run(app) as t:
        (delivery,) = t.runners["views"].deliveries
        with monkeypatch.context() as broken:
            broken.setattr(delivery.destination, "deliver", away)
            t.send("things", [thing(0)])
            t.epoch()
            begun = time.monotonic()
            found = verify(t.runners["views"])
            assert found.undelivered == ("copy",)
            assert time.monotonic() - begun < 10, "the patience is a minute"
        t.verify()


def test_a_partition_that_comes_while_a_proof_reads_is_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app, source = things()
    app.table("counts", source.by("who").agg(n="count(*)"))
    with headrace.testing.run(app) as t:
        t.send("things", [thing(i) for i in range(4)])
        topic = t.runners["views"].engine.readers["things"].topic
        begin = topic.begin_offsets
        monkeypatch.setattr(topic, "begin_offsets", lambda: [*begin(), 0])
        (found,) = t.verify()
        assert found.events == 4


def away(*_: Any) -> int:
    raise Unreachable("the system is away")


@contextmanager
def looping(runner: JobRunner, stop: threading.Event) -> Iterator[None]:
    """The job runs meanwhile, in a thread of its own."""

    def run() -> None:
        with suppress(DestinationDown):
            runner.run(None, stop)

    loop = threading.Thread(target=run)
    loop.start()
    try:
        yield
    finally:
        stop.set()
        loop.join()


def until(holds: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.02)


def test_what_a_proof_took_of_memory_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """malloc keeps what is freed: a job that is always busy would hold on to it."""
    app, source = things()
    app.table("counts", source.by("who").agg(n="count(*)"))
    given: list[str] = []
    monkeypatch.setattr(fixing, "give_back", lambda: given.append("back"))
    with headrace.testing.run(app) as t:
        t.send("things", [thing(0)])
        t.epoch()
        assert verify(t.runners["views"]).holds
        assert given == ["back"]
