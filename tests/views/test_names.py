"""Columns may be called as the engine calls its own inside: each row shows what was asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import headrace as hr
from headrace import testing
from headrace.language.streams import Stream


class Odd(hr.Event):
    second: int
    k0: int
    k1: str
    a0: int


RESULTS = {"k0": "count(*)", "k1": "max(a0)", "a0": "min(k0)"}
WINDOWS: dict[str, Callable[[Stream], Any]] = {
    "totals": lambda s: s,
    "tumbling": lambda s: s.tumble("1 minute"),
    "sliding": lambda s: s.slide("1 minute", every="1 minute"),
    "by gaps": lambda s: s.session(gap="1 hour"),
    "by marks": lambda s: s.session(starts="a0 < 4", timeout="1 hour"),
}


@pytest.mark.parametrize("kind", WINDOWS)
def test_results_called_as_keys_and_states_are(kind: str) -> None:
    app = hr.App("odd")
    odd = app.source(Odd, topic="odd", key="k1", time="second", time_unit="s", partitions=1)
    view = WINDOWS[kind](odd).by(x="k1", y="k0").agg(**RESULTS).where("k0 > 1")
    app.table("t", view if "by " in kind else view.top(9, by="k1", per="x"))
    app.table("latest", odd, key="k1")
    with testing.run(app) as driver:
        driver.send("odd", [odd_event(i) for i in range(8)])
        found = {(r["x"], r["y"], r["k0"], r["k1"], r["a0"]) for r in driver.rows("t")}
        assert found == {("a", 0, 2, 4, 0), ("a", 1, 2, 5, 1), ("b", 0, 2, 6, 0), ("b", 1, 2, 7, 1)}
        latest = [(r["k0"], r["k1"], r["a0"]) for r in driver.rows("latest")]
        assert sorted(latest) == [(1, "a", 5), (1, "b", 7)]
        driver.verify()


def odd_event(i: int) -> dict[str, Any]:
    return {"second": 1_767_225_600 + i, "k0": i % 2, "k1": "ab"[i // 2 % 2], "a0": i}
