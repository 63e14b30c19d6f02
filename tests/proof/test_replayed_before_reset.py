"""What a replay accepted before a reset: outputs that were not given it then, are given it after.

Once each: whether one has it, its mark says.
"""

from __future__ import annotations

import shutil
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Literal

import pytest

import headrace as hr
import headrace.testing
from headrace.engines.embedded.epochs.engine import Committed
from headrace.engines.embedded.epochs.replay import replay_epochs
from headrace.ops.jobs.states import reset
from headrace.testing import Driver
from tests.views.cases import START, at

OUTPUTS = ("everything", "copies")


class Narrow(hr.Event):
    at: datetime
    n: int
    kind: Literal["x"]


class Wide(hr.Event):
    at: datetime
    n: int
    kind: Literal["x", "y"]


def app_of(event: type[hr.Event]) -> hr.App:
    app = hr.App("replayed")
    things = app.source(event, topic="things", time="at", partitions=1)
    app.table("totals", things.agg(c="count(*)"))
    app.lake("everything", things)
    app.topic("copies", things)
    return app


def send(t: Driver, kinds: str, first: int = 0) -> None:
    numbered = enumerate(kinds, first)
    t.send("things", [{"at": at(n), "n": n, "kind": k} for n, k in numbered], partition=0)
    t.epoch()
    [runner] = t.runners.values()
    runner.settle()


def turn_to(t: Driver, event: type[hr.Event]) -> None:
    t.close()
    t.plan = app_of(event).plan
    t.open()


def replay(t: Driver, *given: str) -> None:
    """Commits what is accepted now; of the outputs only those `given` get it before the end."""
    [runner] = t.runners.values()
    committed: list[Committed] = []
    replay_epochs(runner.engine, t.clock.now_us(), committed.append)
    assert [one.kind for one in committed] == ["replay"]
    for delivery in runner.deliveries:
        if delivery.name in given:
            for one in committed:
                delivery.put(one)
            assert delivery.flush(runner.engine.ledger.epoch, 30)


def begin_anew(t: Driver) -> None:
    t.close()
    reset("replayed", t._settings)
    t.open()


def holds(t: Driver, numbers: int) -> None:
    """Each output has every number below that once."""
    once = Counter(range(numbers))
    assert Counter(row["n"] for row in t.rows("everything")) == once
    assert Counter(row["value"]["n"] for row in t.rows("copies")) == once
    assert t.rows("totals") == [{"c": numbers}]
    t.verify()


@pytest.mark.parametrize("given", [(), ("everything",), ("copies",), OUTPUTS], ids=str)
def test_each_output_has_it_once(given: tuple[str, ...]) -> None:
    with headrace.testing.run(app_of(Narrow), start=START) as t:
        send(t, "xxyxyxx")
        turn_to(t, Wide)
        replay(t, *given)
        for more in range(3):
            begin_anew(t)
            holds(t, 7 + more)
            send(t, "x", first=7 + more)
            t.restart()
            holds(t, 8 + more)


@pytest.mark.parametrize("given", [(), ("copies",)], ids=str)
def test_a_replay_after_a_reset(given: tuple[str, ...]) -> None:
    """The generation before had refused it as well, and may have been given less."""
    with headrace.testing.run(app_of(Narrow), start=START) as t:
        send(t, "xyxx")
        begin_anew(t)
        send(t, "xyx", first=4)
        turn_to(t, Wide)
        replay(t, *given)
        begin_anew(t)
        holds(t, 7)
        begin_anew(t)
        holds(t, 7)


def test_of_two_replays_it_has_the_first() -> None:
    with headrace.testing.run(app_of(Narrow), start=START) as t:
        send(t, "xyx")
        turn_to(t, Wide)
        replay(t, *OUTPUTS)
        turn_to(t, Narrow)
        send(t, "yx", first=3)
        turn_to(t, Wide)
        replay(t)
        begin_anew(t)
        holds(t, 5)


def test_a_lake_that_was_taken_away_and_is_put_back(tmp_path: Path) -> None:
    with headrace.testing.run(app_of(Narrow), start=START) as t:
        send(t, "xyx")
        turn_to(t, Wide)
        replay(t, "copies")
        t.close()
        lake = t._settings.data / "lakes/everything"
        shutil.copytree(lake, tmp_path / "older")
        reset("replayed", t._settings)
        t.open()
        t.close()
        shutil.rmtree(lake)
        reset("replayed", t._settings)
        t.open()
        holds(t, 3)
        t.close()
        shutil.rmtree(lake)
        (tmp_path / "older").rename(lake)
        t.open()
        holds(t, 3)
