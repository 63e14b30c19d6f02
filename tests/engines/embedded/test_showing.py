"""When a sliding view shows what changed: soon, also where nothing more comes."""

from __future__ import annotations

import time

import pytest

import headrace.testing
from headrace.testing import Driver
from tests.views.cases import thing, things


def shown(t: Driver) -> list[int]:
    """The counts that readers of the state see; asked for otherwise, they would be shown first."""
    (runner,) = t.runners.values()
    return [n for (n,) in runner.store.rows('select n from "out" order by 1')]


def test_the_last_change_is_shown_though_the_source_is_quiet() -> None:
    app, source = things(lateness="1 minute")
    app.table("out", source.slide("4 minutes", every="2 minutes").agg(n="count(*)"))
    with headrace.testing.run(app) as t:
        t.send("things", [thing(0)])
        t.epoch()
        (runner,) = t.runners.values()
        t.send("things", [thing(1)])
        # However slow the machine is, this epoch comes within the same second.
        runner.engine._shown_at = time.monotonic()
        t.epoch()
        assert shown(t) == [1, 1]
        deadline = time.monotonic() + 20
        while shown(t) == [1, 1]:
            assert time.monotonic() < deadline, "it is never shown"
            time.sleep(0.1)
            t.epoch()
        assert shown(t) == [2, 2]
        epochs = runner.engine.ledger.epoch
        time.sleep(1.1)
        t.epoch()
        assert runner.engine.ledger.epoch == epochs, "there is nothing more to show"
        t.verify()


@pytest.mark.parametrize("ranked", [True, False])
def test_what_must_be_withdrawn_is_shown_no_more_often(ranked: bool) -> None:
    """What was shown of it is kept meanwhile, through a restart too; then it goes."""
    app, source = things(lateness="1 minute")
    counts = source.slide("4 minutes", every="2 minutes").by("who").agg(n="sum(n)")
    app.table("out", counts.top(1, by="n") if ranked else counts.where("n between 1 and 9"))
    with headrace.testing.run(app) as t:
        t.send("things", [thing(70, "a", n=2), thing(71, "b", n=1 if ranked else 10)])
        t.epoch()
        assert shown(t) == [2, 2]
        for n in (3, 4, 5):
            t.send("things", [thing(72, "a", n=n), thing(73, "b", n=2 * n if ranked else -1)])
            (runner,) = t.runners.values()
            runner.engine._shown_at = time.monotonic()
            t.epoch()
            assert shown(t) == [2, 2]
            t.restart()
        found = {(row["who"], row["n"]) for row in t.rows("out")}
        assert found == {("b", 25 if ranked else 7)}
        t.verify()
