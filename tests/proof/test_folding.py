"""Epochs that are joined once everyone has them: no record's lateness changes, all stays provable.

The logs have disorder, late records and a partition that falls silent and comes back, so that the
source's watermark, not only what a record saw, decides who is late.
"""

from __future__ import annotations

import random
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import headrace as hr
import headrace.testing
from headrace.engines.batch.watermarks import watermarked
from headrace.engines.embedded.runner import JobRunner
from headrace.proof.events import events_of
from headrace.proof.fixed import fixed
from headrace.testing.driver import Driver
from headrace.values.errors import StateRefused

START = datetime(2026, 1, 1, tzinfo=UTC)


class Tick(hr.Event):
    at: datetime
    name: str


def make(lake: bool) -> hr.App:
    app = hr.App("t")
    ticks = app.source(
        Tick,
        topic="ticks",
        time="at",
        partitions=3,
        lateness="5 seconds",
        idle_timeout="20 seconds",
    )
    app.table("counts", ticks.tumble("10 seconds").by("name").agg(n="count(*)"))
    app.table("moving", ticks.slide("30 seconds", every="10 seconds").agg(n="count(*)"))
    app.table("visits", ticks.session(gap="8 seconds").by("name").agg(n="count(*)"))
    app.topic("closed", ticks.tumble("10 seconds").agg(n="count(*)"), emit="final")
    if lake:
        app.lake("all_ticks", ticks)
    return app


def send(t: Driver, seed: int, epochs: int, second: float = 0.0) -> float:
    """Epochs of a few records; partition 2 is silent for a while, then comes with old times."""
    rng = random.Random(seed)
    for number in range(epochs):
        for _ in range(rng.randint(0, 4)):
            second += rng.random() * 2
            silent = 15 <= number % 40 < 30
            partition = rng.randint(0, 1 if silent else 2)
            at = START + timedelta(seconds=second - rng.choice([0, 0, 1, 4, 9, 30]))
            bad = rng.random() < 0.03
            event: Any = "no json" if bad else {"at": at.isoformat(), "name": rng.choice("ab")}
            t.send("ticks", [event], partition=partition)
        t.advance(timedelta(seconds=rng.choice([0, 1, 3])))
        t.epoch()
    return second


def closed(runner: JobRunner) -> dict[tuple[int, int], Any]:
    """What was closed when each record was read, as the proof sees it."""
    source = runner.job.sources[0]
    with fixed(runner) as fix:
        relations = replace(events_of(runner, fix, source).relations, watermarked=None)
        sql = watermarked(source, fix.epoch, relations)
        rows = fix.cursor.execute(f"select _partition, _offset, _closed from ({sql})").fetchall()
    return {(partition, offset): at for partition, offset, at in rows}


def kept(runner: JobRunner) -> int:
    return int(runner.store.rows("select count(*) from meta.epochs")[0][0])


@pytest.fixture(autouse=True)
def only_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headrace.engines.embedded.runner._HOUSEKEEPING_SECONDS", 1e12)


@pytest.mark.parametrize("lake", [True, False])
@pytest.mark.parametrize("seed", [1, 2])
def test_joined_epochs_decide_the_same_for_every_record(lake: bool, seed: int) -> None:
    with headrace.testing.run(make(lake), start=START) as t:
        [runner] = t.runners.values()
        second = send(t, seed, 80)
        before, epochs = closed(runner), kept(runner)
        runner.fold()
        joined = kept(runner)
        assert 1 < joined < epochs / 2
        assert closed(runner) == before
        t.verify()

        t.restart()
        [runner] = t.runners.values()
        assert closed(runner) == before
        send(t, seed + 10, 30, second)
        t.verify()
        before = closed(runner)
        runner.fold()
        assert closed(runner) == before
        t.recompute()
        runner.fold()
        t.verify()


def test_epochs_that_a_destination_lacks_stay_as_they_are() -> None:
    with headrace.testing.run(make(True), start=START) as t:
        [runner] = t.runners.values()
        send(t, 1, 20)
        t.rows("counts")
        lake = next(d for d in runner.deliveries if d.name == "all_ticks")
        has = lake.delivered_epoch
        lake.delivered_epoch = has - 5
        with runner.store.transaction() as connection:
            runner.note(connection)
        runner.fold()
        epochs = {epoch for (epoch,) in runner.store.rows("select epoch from meta.epochs")}
        lake.delivered_epoch = has
        assert set(range(has - 5, has + 1)) <= epochs
        assert len(epochs) < has


def restored(t: Driver, place: str) -> None:
    """Runs on, joins epochs, and puts back an older copy of what a destination holds."""
    [runner] = t.runners.values()
    directory = runner.data.root / place
    copy = directory.with_name("older")
    second = send(t, 1, 30)
    t.rows("counts")
    shutil.copytree(directory, copy)
    send(t, 2, 30, second)
    t.rows("counts")
    runner.fold()
    t.close()
    shutil.rmtree(directory)
    copy.rename(directory)


def test_an_older_copy_of_a_stream_is_brought_up_to_date_across_joined_epochs() -> None:
    with headrace.testing.run(make(True), start=START) as t:
        restored(t, "lakes/all_ticks")
        t.open()
        t.verify()


def test_an_older_copy_of_a_views_topic_is_refused() -> None:
    with headrace.testing.run(make(True), start=START) as t:
        restored(t, "topics/closed")
        with pytest.raises(StateRefused, match="has lost what it was given"):
            t.open()
