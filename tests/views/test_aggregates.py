"""Every aggregate that views keep, plain and with `filter (where …)`, in windows and sessions."""

from __future__ import annotations

import math
from datetime import date
from typing import Any

import pytest

from headrace.language.aggregates import AGGREGATES
from tests.views.cases import check, thing, things

N = [3, None, -1, 3, 4]
F = [0.5, 2.5, None, 4.5, -1.0]
"""In order of time; the events are sent in another order."""

GOLDEN: dict[str, tuple[str, Any, Any]] = {
    # function: (expression, its value, its value where kind = 'k': the second and fourth)
    "count_star": ("count(*)", 5, 2),
    "count": ("count(n)", 4, 1),
    "sum": ("sum(n)", 9, 3),
    "avg": ("avg(f)", 1.625, 3.5),
    "mean": ("mean(n)", 2.25, 3.0),
    "min": ("min(n)", -1, 3),
    "max": ("max(f)", 4.5, 4.5),
    "arg_min": ("arg_min(text, n)", "t2", "t3"),
    "argmin": ("argmin(text, f)", "t4", "t1"),
    "min_by": ("min_by(text, n)", "t2", "t3"),
    "arg_max": ("arg_max(text, n)", "t4", "t3"),
    "argmax": ("argmax(n, text)", 4, 3),
    "max_by": ("max_by(text, f)", "t3", "t3"),
    "stddev": ("stddev(f)", math.sqrt(5.729166666666667), math.sqrt(2.0)),
    "stddev_samp": ("stddev_samp(f)", math.sqrt(5.729166666666667), math.sqrt(2.0)),
    "stddev_pop": ("stddev_pop(f)", math.sqrt(4.296875), 1.0),
    "variance": ("variance(f)", 5.729166666666667, 2.0),
    "var_samp": ("var_samp(n)", 4.916666666666667, None),
    "var_pop": ("var_pop(n)", 3.6875, 0.0),
    "approx_count_distinct": ("approx_count_distinct(n)", 3, 1),
    "approx_quantile": ("approx_quantile(n, 0.5)", 3, 3),
    "quantile_cont": ("quantile_cont(f, 0.25)", 0.125, 3.0),
    "quantile": ("quantile(n, 0.75)", 3, 3),
    "quantile_disc": ("quantile_disc(n, 0.1)", -1, 3),
    "median": ("median(f)", 1.5, 3.5),
    "first": ("first(n)", 3, None),
    "last": ("last(text)", "t4", "t3"),
    "list": ("list(n)", [3, None, -1, 3, 4], [None, 3]),
    "array_agg": ("array_agg(text)", ["t0", "t1", "t2", "t3", "t4"], ["t1", "t3"]),
    "bool_and": ("bool_and(n > 0)", False, True),
    "bool_or": ("bool_or(n > 3)", True, False),
    "bit_and": ("bit_and(n)", 0, 3),
    "bit_or": ("bit_or(n)", -1, 3),
    "bit_xor": ("bit_xor(n)", 3 ^ -1 ^ 3 ^ 4, 3),
    "count_if": ("count_if(n > 0)", 3, 1),
    "countif": ("countif(n < 0)", 1, 0),
    "distinct count": ("count(distinct n)", 3, 1),
    "distinct max": ("max(distinct n)", 4, 3),
}

COUNTS = {"count_star", "count", "approx_count_distinct", "count_if", "countif", "distinct count"}


def test_no_aggregate_is_left_out() -> None:
    assert set(AGGREGATES) <= set(GOLDEN)


def _events() -> list[dict[str, Any]]:
    made = [
        thing(i, kind="k" if i in (1, 3) else "x", n=n, f=f, text=f"t{i}")
        for i, (n, f) in enumerate(zip(N, F, strict=True))
    ]
    return [made[i] for i in (2, 0, 4, 3, 1)] + [thing(2, "other", n=99, f=99.0)]


@pytest.mark.parametrize("window", ["none", "tumble", "slide", "gap", "marks"])
def test_every_aggregate(window: str) -> None:
    app, source = things(lateness="1 minute")
    grouped = {
        "none": source,
        "tumble": source.tumble("1 minute"),
        "slide": source.slide("1 minute", every="1 minute"),
        "gap": source.session(gap="1 minute"),
        "marks": source.session(starts="text = 't0' or who = 'other'", timeout="1 minute"),
    }[window].by("who")
    chosen = GOLDEN if window == "none" else _without_synonyms()
    calls, wanted = {}, []
    for number, (function, (sql, value, of_some)) in enumerate(chosen.items()):
        calls[f"c{number}"] = sql
        calls[f"c{number}_some"] = f"{sql} filter (where kind = 'k')"
        wanted += [value, of_some]
        if window == "none":
            calls[f"c{number}_none"] = f"{sql} filter (where kind = 'z')"
            wanted.append(0 if function in COUNTS else None)
    app.table("out", grouped.agg(**calls).where("who = 'a'"))
    check(app, _events(), {"out": (" ".join(calls), [tuple(_near(w) for w in wanted)])})


def _without_synonyms() -> dict[str, tuple[str, Any, Any]]:
    """One name of each function is enough once the names are known to mean the same."""
    seen: dict[object, str] = {}
    for name in GOLDEN:
        seen.setdefault(AGGREGATES.get(name, name), name)
    return {name: GOLDEN[name] for name in seen.values()}


def _near(value: Any) -> Any:
    return pytest.approx(value, rel=1e-12) if isinstance(value, float) else value


def test_approximate_quantiles_of_negative_values_are_not_above_them() -> None:
    app, source = things(lateness="1 minute")
    view = source.by("who").agg(
        high="approx_quantile(n, 0.9)",
        most="approx_quantile(f, 1.0)",
        date="approx_quantile(cast('1960-01-01' as date), 0.9)",
    )
    app.table("out", view)
    events = [thing(i, n=-2, f=-0.5) for i in range(5)]
    check(app, events, {"out": ("who high most date", [("a", -2, -0.5, date(1960, 1, 1))])})


def test_expressions_over_aggregates() -> None:
    app, source = things(lateness="1 minute")
    view = source.by("who").agg(
        share="count(*) filter (where n > 0) / count(*)",
        spread="max(n) - min(n)",
        text="array_to_string(list(text), '-')",
        constant="1 + count(*)",
    )
    app.table("out", view)
    events = [thing(1, n=2, text="b"), thing(0, n=-2, text="a"), thing(0, "b", n=None)]
    check(
        app,
        events,
        {
            "out": (
                "who share spread text constant",
                [("a", 0.5, 4, "a-b", 3), ("b", 0.0, None, "1", 2)],
            )
        },
    )


def test_order_decides_by_time_then_partition_then_offset() -> None:
    from tests.views.cases import Sent

    app, source = things(lateness="1 minute", partitions=2, key=None)
    view = source.agg(
        first="first(n)", last="last(n)", least="arg_min(n, f)", most="arg_max(n, f)", all="list(n)"
    )
    app.table("out", view)
    sent = [
        Sent([thing(0, n=3), thing(0, n=4)], 1),
        Sent([thing(1, n=5), thing(0, n=1)], 0),
        Sent([thing(0, n=2)], 0),
        Sent([thing(1, n=6)], 1),
    ]
    check(app, sent, {"out": ("first last least most all", [(1, 6, 1, 6, [1, 2, 3, 4, 5, 6])])})
