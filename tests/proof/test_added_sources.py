"""Sources that an app is given after its job has run, and such as are taken out of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import Any

import pytest

import headrace as hr
import headrace.testing
from headrace.engines.embedded.epochs.replay import replay_epochs
from headrace.ops.jobs.rebuilding import rebuild_job
from headrace.ops.jobs.states import reset
from headrace.testing import Driver
from headrace.values.errors import StateRefused
from tests.views.cases import Thing, at, thing


class Strict(Thing):
    """What refuses numbers that `Thing` accepts."""

    checks = {"small": "n < 5"}


def fed(app: Any, topic: str, *, strict: bool, once: bool) -> None:
    """A source, and outputs of every kind that go by its name."""
    event = Strict if strict else Thing
    source = app.source(event, topic=topic, key="who", time="at", partitions=2, lateness="1 minute")
    app.lake(f"{topic}_all", source)
    app.topic(f"{topic}_copies", source)
    if once:
        app.lake(f"{topic}_once", source.dedupe(by=("who", "n")))
    minutes = source.tumble("10 seconds").by("who").agg(c="count(*)")
    app.table(f"{topic}_minutes", minutes)
    app.lake(f"{topic}_closed", minutes, emit="final")
    app.topic(f"{topic}_told", minutes)


def app_of(*topics: str, strict: bool = False, once: bool = True) -> hr.App:
    app = hr.App("added")
    for topic in topics:
        fed(app, topic, strict=strict, once=once)
    return app


def read(t: Driver, topic: str, *numbers: int, told: bool = True) -> None:
    """An epoch for each; outputs are `told` of it."""
    [runner] = t.runners.values()
    for n in numbers:
        t.send(topic, [thing(n, "ab"[n % 2], n=n)])
        committed = runner.engine.epoch(t.clock.now_us(), 1 << 40, alongside=runner.note)
        assert committed is not None and committed.records == 1
        if told:
            runner.handed_over(committed)


def turn_to(t: Driver, *topics: str, rebuilt: bool = True, once: bool = True) -> None:
    t.close()
    t.plan = app_of(*topics, once=once).plan
    if rebuilt:
        rebuild_job(t.plan.jobs[0], t._settings)
    t.open()


def holds(t: Driver, topic: str, *numbers: int, late: Collection[int] = ()) -> None:
    """Every output that goes by the topic holds what it should, once; `late` only without time."""
    wanted = Counter(numbers)
    outputs = [o.name for o in t.plan.jobs[0].outputs]
    for lake in {"all", "once"} & {name.removeprefix(f"{topic}_") for name in outputs}:
        assert Counter(row["n"] for row in t.rows(f"{topic}_{lake}")) == wanted, lake
    assert Counter(row["value"]["n"] for row in t.rows(f"{topic}_copies")) == wanted
    windows = Counter((row["who"], row["window_start"]) for row in t.rows(f"{topic}_minutes"))
    assert windows == {("ab"[n % 2], at(n - n % 10)): 1 for n in numbers if n not in late}
    # Its dedupe knows of all of them.
    for name in (name for name in outputs if name.startswith(topic)):
        assert t.counts(name)["accepted"] == len(numbers), name
    assert all(proof.holds for proof in t.verify())


@pytest.mark.parametrize(("generation", "told"), [(1, False), (2, True)])
def test_one_that_is_added(generation: int, told: bool) -> None:
    with headrace.testing.run(app_of("things"), start=at(1_000)) as t:
        read(t, "things", 1, 2)
        if generation == 2:
            t.rows("things_all")
            t.close()
            reset("added", t._settings)
            t.open()
            t.epoch()
        read(t, "things", 200, told=told)
        turn_to(t, "things", "others")
        read(t, "others", 1)
        read(t, "others", 3, told=False)
        read(t, "things", 201, told=False)
        t.restart()
        holds(t, "things", 1, 2, 200, 201)
        holds(t, "others", 1, 3)
        read(t, "others", 300)
        t.recompute()
        t.close()
        reset("added", t._settings)
        t.open()
        holds(t, "others", 1, 3, 300)


def test_one_that_is_taken_out_and_put_back() -> None:
    with headrace.testing.run(app_of("things", "others"), start=at(1_000)) as t:
        read(t, "things", 1)
        read(t, "others", 1, 2)
        read(t, "others", 3)
        read(t, "things", 3, told=False)
        turn_to(t, "things", rebuilt=False)
        read(t, "things", 200, told=False)
        t.restart()
        holds(t, "things", 1, 3, 200)
        turn_to(t, "things", "others")
        read(t, "others", 4)
        holds(t, "others", 1, 2, 3, 4)
        turn_to(t, "others", rebuilt=False)
        read(t, "others", 200)
        holds(t, "others", 1, 2, 3, 4, 200)


def test_a_replay_of_one_that_is_taken_out() -> None:
    """Nobody was told of it when the app lost the source."""
    with headrace.testing.run(
        app_of("things", "others", strict=True, once=False), start=at(1_000)
    ) as t:
        for topic in ("things", "others"):
            read(t, topic, 1, 6)
        turn_to(t, "things", "others", rebuilt=False, once=False)
        [runner] = t.runners.values()
        judged = replay_epochs(runner.engine, t.clock.now_us(), lambda committed: None)
        assert judged.refused == 0 and len(judged.epochs) == 1
        turn_to(t, "things", rebuilt=False, once=False)
        holds(t, "things", 1, 6, late=[6])
        turn_to(t, "things", "others", once=False)
        holds(t, "others", 1, 6, late=[6])


def test_a_dedupe_that_missed_a_replay_is_refused() -> None:
    """Of records of a replay, too, nobody knows any more who was a duplicate."""

    def app_of(*outputs: str, strict: bool = False) -> hr.App:
        app = hr.App("missed")
        source = app.source(Strict if strict else Thing, topic="things", key="who", partitions=1)
        app.table("totals", source.by("who").agg(c="count(*)"))
        if "once" in outputs:
            app.lake("once", source.dedupe(by=("who", "n")))
        return app

    with headrace.testing.run(app_of("once", strict=True), start=at(1_000)) as t:
        read(t, "things", 6)
        read(t, "things", 1)
        assert len(t.rows("once")) == 1
        t.close()
        t.plan = app_of().plan
        t.open()
        assert t.replay() == 1
        t.close()
        t.plan = app_of("once").plan
        with pytest.raises(StateRefused, match="lake once was not in the app when epoch"):
            t.open()
