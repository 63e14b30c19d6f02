"""Lakes and topics of streams that are taken out of an app for a while, and put back."""

from __future__ import annotations

from collections import Counter

import pytest

import headrace as hr
import headrace.testing
from headrace.engines.embedded.deliveries.delivery import stop_all
from headrace.ops.jobs.rebuilding import rebuild_job
from headrace.ops.jobs.states import reset
from headrace.testing import Driver
from tests.views.cases import at, thing, things

KEPT = ("everything", "copies", "risky")


def app_of(*names: str, least: int = 0) -> hr.App:
    """A table, and those of the lakes and topics that are named."""
    app, source = things(lateness="1 minute", partitions=2)
    app.table("totals", source.where(f"n >= {least}").by("who").agg(n="count(*)"))
    if "everything" in names:
        app.lake("everything", source)
    if "copies" in names:
        app.topic("copies", source)
    if "risky" in names:
        app.lake("risky", source.with_columns(number="cast(text as bigint)"))
    return app


def turn_to(t: Driver, app: hr.App) -> None:
    """The app is another one from here on."""
    t.close()
    t.plan = app.plan


def read(t: Driver, *numbers: int, told: bool = True, noted: bool = True) -> None:
    """An epoch for each; outputs are `told` of it, and the state notes what they have."""
    [runner] = t.runners.values()
    for n in numbers:
        t.send("things", [thing(n / 10, "ab"[n % 2], n=n)])
        alongside = runner.note if noted else None
        committed = runner.engine.epoch(t.clock.now_us(), 1 << 40, alongside=alongside)
        assert committed is not None and committed.records == 1
        if told:
            runner.handed_over(committed)


def kill(t: Driver) -> None:
    """Nothing is noted at the end: what outputs have, only they know."""
    [runner] = t.runners.values()
    for delivery in runner.deliveries:
        assert delivery.flush(runner.engine.ledger.epoch, 30)
    stop_all(runner.deliveries)
    runner.deliveries = []


def given(t: Driver, name: str) -> Counter[int]:
    """How often a lake or topic has each number."""
    return Counter(row["value"]["n"] if "value" in row else row["n"] for row in t.rows(name))


@pytest.mark.parametrize("generation", [1, 2])
@pytest.mark.parametrize("end", ["killed", "stopped"])
@pytest.mark.parametrize("rebuilt", [False, True])
def test_what_they_have_of_epochs_joined_meanwhile_is_not_given_again(
    end: str, generation: int, rebuilt: bool
) -> None:
    with headrace.testing.run(app_of("everything", "copies"), start=at(1_000)) as t:
        read(t, 1, 2)
        if generation == 2:
            [runner] = t.runners.values()
            runner.settle()
            t.close()
            reset("views", t._settings)
            t.open()
            t.epoch()
        read(t, 3, 4, 5)
        [runner] = t.runners.values()
        runner.settle()
        if end == "killed":
            read(t, 6, 7, noted=False)
            kill(t)
        # Committed, and told to nobody.
        read(t, 8, 9, told=False, noted=False)
        turn_to(t, app_of())
        t.open()
        [runner] = t.runners.values()
        epochs = runner.engine.ledger.epoch
        runner.fold()
        assert runner.store.rows("select count(*) from meta.epochs")[0][0] < epochs / 2
        least = 2 if rebuilt else 0
        turn_to(t, app_of("everything", "copies", least=least))
        if rebuilt:
            rebuild_job(t.plan.jobs[0], t._settings)
        t.open()
        read(t, 10)
        once = Counter(n for n in range(1, 11) if end == "killed" or n not in (6, 7))
        assert given(t, "everything") == given(t, "copies") == once
        assert sum(row["n"] for row in t.rows("totals")) == sum(n >= least for n in once)
        t.verify()
        sums = t.query("select name, sent, landed from conservation where kind = 'destination'")
        landed = {row["name"]: row["landed"] for row in sums}
        assert landed["everything"] == landed["copies"] == sum(once.values())
