"""Rows that inexact values decide: only those at the boundary may come and go."""

from __future__ import annotations

import random
from typing import Any

import pytest

from headrace.engines.batch.compare import compare_sql
from headrace.engines.batch.doubtful import holds
from headrace.engines.batch.expected import expected
from headrace.engines.batch.tolerance import tolerance
from headrace.plan.operators import Expression, Named, Top, View
from tests.engines.batch.logs import as_of, connection, fetched, source
from tests.engines.batch.plans import Python, call, view
from tests.engines.batch.test_compare import events_of, result


def condition(sql: str, *columns: str) -> Expression:
    return Expression(sql, sql, "BOOLEAN", columns)


def ranked(
    having: Expression | None = None, top: Top | None = None, *, floats: bool = True
) -> View:
    """By `who`: a count, a floating sum, mean and rounded sum; or an approximate median."""
    python = Python()
    f = python.column("f", "DOUBLE")
    inexact = (
        (call("a1", "sum", "DOUBLE", f), call("a2", "avg", "DOUBLE", f))
        if floats
        else (call("a1", "approx_quantile", "DOUBLE", f, constants=("0.5",)),)
    )
    results = [result("n", "a0", "BIGINT"), result("x", "a1", "DOUBLE")]
    if floats:
        results += [
            result("mean", "a2", "DOUBLE"),
            result("tens", "cast(a1 / 10 as bigint)", "BIGINT", "a1"),
        ]
    return view(
        None,
        (Named("who", python.column("who", "VARCHAR")),),
        (call("a0", "count_star", "BIGINT"), *inexact),
        results=tuple(results),
        having=having,
        top=top,
    )


def differences(made: View, values: list[tuple[str | None, float]], served: str) -> list[Any]:
    run = events_of(values)
    duck = connection(run)
    rows = expected(made, source(0), as_of(run), allowances=True, candidates=True)
    duck.execute(f"create table wanted as {rows.sql}")
    # Its own result is what it would be without candidates.
    own = ", ".join(f'"{c.name}"' for c in made.columns)
    plain = expected(made, source(0), as_of(run)).sql
    assert fetched(duck, f"select {own} from wanted where _own order by all") == fetched(
        duck, f"select * from ({plain}) order by all"
    )
    columns = [c.name for c in made.columns]
    assert tolerance(made).rows
    sql = compare_sql(
        columns,
        tolerance(made),
        "wanted",
        f"({served})",
        ["who"],
        allowances=True,
        holds=holds(made.having),
    )
    return [(d["who"], d["_kind"]) for d in fetched(duck, f"{sql} order by all")]


def rows_sql(made: View, rows: list[dict[str, Any]]) -> str:
    columns = {c.name: c.type for c in made.columns}

    def one(row: dict[str, Any]) -> str:
        values = ", ".join(
            f"{'null' if row.get(n) is None else repr(row[n])}::{t} as {n}"
            for n, t in columns.items()
        )
        return f"select {values}"

    if not rows:
        return f"{one({})} where false"
    return " union all ".join(map(one, rows))


FIVE = 5.0
NEAR = 5.0 + 1e-9


@pytest.mark.parametrize(
    ("served", "wrong"),
    [
        # Sums 4, 5, just above 5, 6: the condition is x > 5.
        ("bcd", []),
        ("cd", []),
        ("d", []),
        ("c", [("d", "missing")]),
        ("", [("d", "missing")]),
        ("acd", [("a", "unexpected")]),
        ("cde", [("e", "unexpected")]),
    ],
)
def test_a_condition_on_a_float(served: str, wrong: list[tuple[str, str]]) -> None:
    made = ranked(condition("x > 5", "x"))
    given = {"a": 4.0, "b": FIVE, "c": NEAR, "d": 6.0}
    # Where it was added otherwise, b came out a little higher.
    there = given | {"b": 5.000000000000001, "e": 9.0}
    rows = [
        {"who": w, "n": 1, "x": there[w], "mean": there[w], "tens": round(there[w] / 10)}
        for w in served
    ]
    assert differences(made, list(given.items()), rows_sql(made, rows)) == wrong


def test_a_row_that_may_come_must_be_right_and_as_the_condition_says() -> None:
    made = ranked(condition("x > 5", "x"))
    values: list[tuple[str | None, float]] = [("b", FIVE), ("c", NEAR)]

    def of(x: float, n: int = 1) -> str:
        return rows_sql(made, [{"who": "b", "n": n, "x": x, "mean": x, "tens": 1}])

    assert differences(made, values, of(5.000000000000001)) == []
    assert differences(made, values, of(5.0)) == [("b", "unexpected")]
    assert differences(made, values, of(5.1)) == [("b", "different")]
    assert differences(made, values, of(5.000000000000001, n=2)) == [("b", "different")]


@pytest.mark.parametrize(
    ("served", "wrong"),
    [
        # Sums 9, 5, 5, just above 5, 1: the first two, of which the second may be any of three.
        ("ab", []),
        ("ac", []),
        ("ad", []),
        ("a", []),
        ("bd", [("a", "missing")]),
        ("ae", [("e", "unexpected")]),
        ("", [("a", "missing")]),
    ],
)
def test_a_ranking_by_a_float(served: str, wrong: list[tuple[str, str]]) -> None:
    made = ranked(top=Top(2, "x"))
    given = {"a": 9.0, "b": FIVE, "c": FIVE, "d": NEAR, "e": 1.0}
    rows = [
        {
            "who": w,
            "n": 1,
            "x": given[w],
            "mean": given[w],
            "tens": round(given[w] / 10),
            "rank": i + 1,
        }
        for i, w in enumerate(served)
    ]
    assert differences(made, list(given.items()), rows_sql(made, rows)) == wrong


@pytest.mark.parametrize(
    ("ranks", "wrong"),
    [
        # Sums 9, 5, just above 5, 1, of which the condition takes the first for certain.
        ({"a": 1, "b": 2, "c": 3}, []),
        ({"a": 1, "b": 3, "c": 2}, []),
        ({"a": 2, "b": 1, "c": 3}, [("a", "different")]),
        ({"a": 1, "b": 1, "c": 1}, []),
        ({"a": None, "b": 2, "c": 3}, [("a", "different")]),
        ({"a": 1, "b": 2, "c": 3, "d": 4}, []),
        ({"a": 1, "b": 2, "c": 3, "d": 3}, [("d", "different")]),
    ],
)
def test_a_rank_is_compared_where_no_other_may_be_in_between(
    ranks: dict[str, int | None], wrong: list[tuple[str, str]]
) -> None:
    given = {"a": 9.0, "b": FIVE, "c": NEAR, "d": 1.0}
    count = 4 if "d" in ranks else 3
    rows = [
        {"who": w, "n": 1, "x": given[w], "mean": given[w], "tens": round(given[w] / 10), "rank": r}
        for w, r in ranks.items()
    ]
    made = ranked(top=Top(count, "x"))
    assert differences(made, list(given.items()), rows_sql(made, rows)) == wrong
    # Who stands before it may or may not be there.
    unsure = ranked(condition("x <> 9 and x >= 1", "x"), Top(count, "x"))
    there = rows_sql(unsure, [row for row in rows if row["who"] != "a"])
    assert differences(unsure, list(given.items()), there) == []


@pytest.mark.parametrize(
    ("served", "wrong"),
    [
        # By the number of events a, b, c, d; whether a is ranked at all hangs on its sum of 5.
        ("ab", []),
        ("bc", []),
        ("b", []),
        ("ac", [("b", "missing")]),
        ("bd", [("d", "unexpected")]),
    ],
)
def test_a_condition_on_a_float_before_a_ranking_by_a_count(
    served: str, wrong: list[tuple[str, str]]
) -> None:
    made = ranked(condition("x >= 5", "x"), Top(2, "n"))
    values: list[tuple[str | None, float]] = [("a", 1.25)] * 4 + [("b", 3.0)] * 3
    values += [("c", 3.0)] * 2 + [("d", 9.0)]
    sums = {w: [v for k, v in values if k == w] for w in "abcd"}
    rows = [
        {"who": w, "n": len(s), "x": sum(s), "mean": sum(s) / len(s), "tens": 1, "rank": i + 1}
        for i, (w, s) in enumerate((w, sums[w]) for w in served)
    ]
    assert differences(made, values, rows_sql(made, rows)) == wrong


@pytest.mark.parametrize(
    ("median", "served", "wrong"),
    [
        (500.0, False, []),
        (515.0, True, []),
        (509.0, True, [("a", "unexpected")]),
        (560.0, True, [("a", "different")]),
    ],
)
def test_a_condition_on_an_approximate_quantile(
    median: float, served: bool, wrong: list[tuple[str, str]]
) -> None:
    made = ranked(condition("x > 510", "x"), floats=False)
    values: list[tuple[str | None, float]] = [("a", float(i)) for i in range(1000)]
    rows = [{"who": "a", "n": 1000, "x": median}] if served else []
    assert differences(made, values, rows_sql(made, rows)) == wrong
    certain = ranked(condition("x > 400", "x"), floats=False)
    lost = [] if served else [("a", "missing")]
    assert [
        d for d in differences(certain, values, rows_sql(certain, rows)) if d[1] == "missing"
    ] == lost


@pytest.mark.parametrize("seed", range(12))
def test_what_another_order_of_adding_gives_is_never_called_wrong(seed: int) -> None:
    """The same views in plain Python, floats added in a random order: 0.6 is often a bit more."""
    dice = random.Random(seed)
    values: list[tuple[str | None, float]] = [
        (f"k{i % 40}", dice.choice([0.1, 0.2, 0.3])) for i in range(120)
    ]
    tested = {
        "x > 0.6": lambda r: r["x"] > 0.6,
        "tens >= 0": lambda r: r["tens"] >= 0,
        "mean <= 0.2": lambda r: r["mean"] <= 0.2,
    }
    mixed = dice.sample(values, len(values))
    groups: dict[str | None, list[float]] = {}
    for who, f in mixed:
        groups.setdefault(who, []).append(f)
    rows = [
        {
            "who": w,
            "n": len(fs),
            "x": sum(fs),
            "mean": sum(fs) / len(fs),
            "tens": round(sum(fs) / 10),
        }
        for w, fs in groups.items()
    ]
    for sql, test in tested.items():
        for by in ("x", "mean", "n"):
            made = ranked(condition(sql, sql.split()[0]), Top(3, by))
            first = sorted((r for r in rows if test(r)), key=lambda r: (-r[by], r["who"]))[:3]
            kept = [{**row, "rank": nth} for nth, row in enumerate(first, 1)]
            assert differences(made, values, rows_sql(made, kept)) == []
