"""Outputs in another order, or taken out: the stream behind them is the one that it was."""

from __future__ import annotations

from itertools import permutations

import pytest

import headrace as hr
import headrace.testing
from tests.views.cases import thing, things


def told(*names: str) -> hr.App:
    """Two streams with a dedupe each, and one without: two outputs of all of them."""
    app, source = things()
    once, rarely = source.dedupe(by=("who", "n")), source.dedupe(by=("who", "text"))
    risky = source.with_columns(number="cast(text as bigint)")
    streams = {"a": once, "b": once, "c": rarely, "d": rarely, "e": risky, "f": risky}
    for name in names:
        (app.lake if name in "ace" else app.topic)(f"out_{name}", streams[name])
    return app


@pytest.mark.parametrize("order", ["badcfe", "fedcba", "bdf", "ace", "cbaf"])
def test_it_remembers_what_it_did(order: str) -> None:
    with headrace.testing.run(told(*"abcdef")) as t:
        t.send("things", [thing(0, n=1, text="1"), thing(1, n=2, text="two")])
        before = len(t.rows("out_a")), t.dead_letters()
        t.close()
        t.plan = told(*order).plan
        t.open()
        t.send("things", [thing(2, n=2, text="1"), thing(3, n=1, text="3")])
        found = {name: len(t.rows(f"out_{name}")) for name in order}
        assert before[0] == 2 and len(t.dead_letters()) == len(before[1]) == 1
        assert found == {n: {"a": 2, "b": 2, "c": 3, "d": 3, "e": 3, "f": 3}[n] for n in order}
        t.verify()
        t.close()
        t.plan = told(*"abcdef").plan if len(order) == 6 else t.plan
        t.open()
        assert {name: len(t.rows(f"out_{name}")) for name in order} == found
        t.verify()


def test_they_may_change_names_with_one_another() -> None:
    for names in permutations("ac"):
        with headrace.testing.run(told("a", "c")) as t:
            t.send("things", [thing(0, n=1, text="1")])
            t.epoch()
            t.close()
            t.plan = told(*names).plan
            t.open()
            t.send("things", [thing(1, n=1, text="2"), thing(2, n=2, text="1")])
            assert [len(t.rows(f"out_{n}")) for n in "ac"] == [2, 2]
            t.verify()
