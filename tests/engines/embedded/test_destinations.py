"""Opening a job's destinations."""

from __future__ import annotations

import threading
import time
from functools import partial
from pathlib import Path

import duckdb
import pytest

import headrace.testing
from headrace.engines.embedded.deliveries import destinations, outage, outgoing
from headrace.engines.embedded.deliveries.delivery import Delivery, Pace
from headrace.engines.embedded.epochs.engine import Committed, JobEngine
from headrace.engines.embedded.epochs.recall import recall
from headrace.values.errors import (
    DestinationDown,
    DiskRefused,
    StateRefused,
    TopicRefused,
    Unreachable,
)
from tests.views.cases import thing, things


def test_when_one_cannot_be_opened_the_others_are_stopped(tmp_path: Path) -> None:
    """Else a thread would go on with a state that is closed, until the process ends under it."""
    app, source = things()
    app.lake("everything", source)
    app.topic("copies", source)
    (tmp_path / "topics" / "copies").mkdir(parents=True)
    with pytest.raises(TopicRefused, match="copies"):
        app.run(data=tmp_path, until="caught-up")
    assert not [t.name for t in threading.enumerate() if t.name.startswith("deliver-")]


def test_rows_that_there_is_no_memory_for_are_told_in_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def too_large(*_: object) -> None:
        raise duckdb.OutOfMemoryException("Out of Memory Error: 1 GB")

    monkeypatch.setattr(outgoing, "rows_to_json", too_large)
    app, source = things()
    app.topic("counts", source.by("who").agg(n="count(*)"))
    with headrace.testing.run(app) as t:
        t.send("things", [thing(0)])
        with pytest.raises(DiskRefused, match="memory limit") as refused:
            t.rows("counts")
        assert "HEADRACE_MEMORY_LIMIT" in str(refused.value.remedy)


def test_once_a_delivery_has_failed_no_more_epochs_are_made_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else all that the destination lacks would be in memory, and nobody would take it."""
    made = list[int]()

    def making(engine: JobEngine, epoch: int) -> Committed:
        deadline = time.monotonic() + 20
        while made and any(t.name == "deliver-copies" for t in threading.enumerate()):
            assert time.monotonic() < deadline, "the first epoch is lost, and nobody says so"
            time.sleep(0.01)
        made.append(epoch)
        return recall(engine, epoch)

    app, source = things()
    app.lake("everything", source)
    more, again = things()
    more.lake("everything", again)
    more.topic("copies", again)
    with headrace.testing.run(app) as t:
        for n in range(8):
            t.send("things", [thing(n)])
            t.epoch()
        assert len(t.rows("everything")) == 8
        t.restart()
        topic = t._topics["things"]
        topic.retain(1, now_us=t.clock.now_us() + 3_600_000_000)
        assert topic.begin_offsets() == topic.end_offsets()
        t.send("things", [thing(9)])
        assert len(t.rows("everything")) == 9
        t.close()
        monkeypatch.setattr(destinations, "recall", making)
        t.plan = more.plan
        t.open()
        with pytest.raises(StateRefused, match="topic copies was not given epoch 1 yet"):
            t.rows("copies")
        assert len(made) <= 2


def test_a_start_gives_up_on_a_destination_that_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where more waits for it than may: nobody would read on, answer or hear Ctrl-C meanwhile."""

    def away(*_: object) -> int:
        raise Unreachable("the line is dead")

    app, source = things()
    app.lake("everything", source)
    with headrace.testing.run(app) as t:
        monkeypatch.setattr(Delivery, "_handed_over", away)
        for n in range(4):
            t.send("things", [thing(n)])
            t.epoch()
        t.close()
        with monkeypatch.context() as narrow:
            narrow.setattr(destinations, "Pace", partial(Pace, epochs_waiting_max=2))
            narrow.setattr(outage, "PATIENCE_SECONDS", 0.5)
            with pytest.raises(DestinationDown, match="the line is dead"):
                t.open()
        monkeypatch.undo()
        t.open()
        assert len(t.rows("everything")) == 4
