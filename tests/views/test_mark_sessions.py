"""Sessions by marks over random logs in many epochs, whichever way their rows are held."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

import headrace.testing
from headrace.engines.embedded.views import held, mark_sessions
from headrace.language import Stream
from headrace.testing import Driver
from tests.views.cases import at, seen, thing, things

MARKS = {"starts": "kind in ('s', 'se')", "ends": "kind in ('e', 'se')", "timeout": "10 seconds"}
COLUMNS = "who session_start_time session_end_time ended_by n"

_VIEWS: dict[str, Callable[[Stream], Any]] = {
    "counts": lambda s: s.session(**MARKS).by("who").agg(n="count(*)"),
    "sums": lambda s: s.session(**MARKS).by("who", odd="n % 2").agg(all="list(n)", s="sum(n)"),
    "sketches": lambda s: s.session(**MARKS).by("who").agg(d="approx_count_distinct(n)"),
    "without keys": lambda s: s.session(**MARKS).agg(n="count(*)", top="max(n)"),
    "some rows": lambda s: (
        s.where("n <> 3").session(**MARKS).by("who").agg(n="count(*)").where("n > 2")
    ),
    "exploded": lambda s: (
        s.explode("items", "item")
        .session(starts="item = 1", ends="item = 2", timeout="10 seconds")
        .by(odd="item % 2")
        .agg(n="count(*)", all="list(n)")
    ),
}


@pytest.fixture(params=["in memory", "in tables", "settled seldom", "all at once"])
def held_as(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    way: str = request.param
    monkeypatch.setattr(mark_sessions, "_HELD_ROWS_PER_EVENT", 1000 if way == "all at once" else 0)
    if way != "settled seldom":
        monkeypatch.setattr(mark_sessions, "_SETTLED_ROWS_MIN", 3)
    if way == "in tables":
        monkeypatch.setattr(held, "MEMORY_BYTES_MAX", 0)
        monkeypatch.setattr(held, "_SAMPLE_ROWS", 0)
    return way


def log(seed: int, count: int = 150) -> list[dict[str, Any]]:
    """Events nearly in time, some of one instant, of few keys, so that much moves."""
    chance = random.Random(seed)
    events = []
    for i in range(count):
        second = max(0, i + chance.choice([0, 0, 0, -1, -4, -7, -30]))
        who = chance.choice(["a", "b", "c", None])
        kind = chance.choice(["s", "x", "x", "x", "e", "se"])
        items = [chance.randrange(5) for _ in range(chance.randrange(3))]
        events.append(thing(second, who, kind, n=i % 7, items=items))
    return events


@pytest.mark.parametrize("name", _VIEWS)
def test_what_is_served_is_the_batch_result(name: str, held_as: str) -> None:
    app, source = things(lateness="8 seconds", partitions=2, key=None)
    view = _VIEWS[name](source)
    app.table("out", view)
    if name != "some rows":
        app.table("closed", view, emit="final")
    with headrace.testing.run(app, start=at(30 * 86_400)) as t:
        for number, event in enumerate(log(len(name))):
            t.send("things", [event], partition=number % 5 % 2)
            if number % 11 == 0:
                t.epoch()
            if number in (70, 110):
                t.verify()
                t.restart()
        t.epoch()
        t.verify()


class _Undone(Exception):
    pass


def test_an_epoch_undone_leaves_nothing_behind(held_as: str) -> None:
    app, source = things(lateness="8 seconds")
    app.table("out", _VIEWS["counts"](source))
    with headrace.testing.run(app, start=at(30 * 86_400)) as t:
        for number, event in enumerate(log(3)):
            t.send("things", [event])
            if number % 7 == 0:
                if number % 3 == 0:
                    _undone(t)
                t.epoch()
        found, counts = seen(t, "out", COLUMNS), t.counts("out")
        t.verify()
    with headrace.testing.run(app, start=at(30 * 86_400)) as t:
        for number, event in enumerate(log(3)):
            t.send("things", [event])
            if number % 7 == 0:
                t.epoch()
        assert seen(t, "out", COLUMNS) == found
        assert t.counts("out") == counts


def _undone(t: Driver) -> None:
    def fail(connection: Any) -> None:
        raise _Undone

    (runner,) = t.runners.values()
    with pytest.raises(_Undone):
        runner.engine.epoch(t.clock.now_us(), 1 << 40, alongside=fail)


def test_what_did_not_change_is_not_sent_again() -> None:
    app, source = things(lateness="1 minute")
    app.table("out", source.session(**MARKS).by("who").agg(top="max(n)"))
    with headrace.testing.run(app, start=at(30 * 86_400)) as t:
        t.send("things", [thing(0, kind="s", n=5), thing(0, "b", "s", n=5)])
        t.epoch()
        sent = _sent(t)
        t.send("things", [thing(1, n=4)])
        t.epoch()
        assert _sent(t) == sent
        t.send("things", [thing(2, n=6)])
        t.epoch()
        assert _sent(t) == sent + 1


def _sent(t: Driver) -> int:
    (runner,) = t.runners.values()
    rows = runner.store.rows(
        "select value from meta.counters where kind = 'destination' and counter = 'sent'"
    )
    return int(rows[0][0])
