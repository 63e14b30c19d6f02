"""Comparing what is expected with what is served."""

from __future__ import annotations

from typing import Any

import duckdb
import pytest

from headrace.engines.batch.compare import compare_sql
from headrace.engines.batch.expected import expected, kept_by_key
from headrace.engines.batch.tolerance import tolerance
from headrace.plan.operators import Expression, Named, Output, Top, View
from tests import reference
from tests.engines.batch.logs import SECOND, as_of, connection, fetched, source
from tests.engines.batch.plans import WINDOWS, Python, call, view


def result(name: str, sql: str, type_: str, *ids: str) -> Named:
    return Named(name, Expression(sql, sql, type_, ids or (sql,), "cast" in sql))


def sums_by_name() -> View:
    """A text key, an exact count, a floating sum and a rounded one."""
    python = Python()
    f = python.column("f", "DOUBLE")
    return view(
        None,
        (Named("who", python.column("who", "VARCHAR")),),
        (call("a0", "count_star", "BIGINT"), call("a1", "sum", "DOUBLE", f)),
        results=(
            result("n", "a0", "BIGINT"),
            result("total", "a1", "DOUBLE"),
            result("share", "a1 / a0", "DOUBLE", "a1", "a0"),
            result("rounded", "cast(a1 as bigint)", "BIGINT", "a1"),
        ),
    )


def events_of(values: list[tuple[str | None, float]]) -> reference.Run:
    full = {"mark": "x", "n": 1, "text": "1", "items": None}
    return reference.Run(
        [
            reference.Event(
                {"at": reference.moment(i * SECOND), "who": who, "f": f, **full},
                0,
                i,
                i * SECOND,
            )
            for i, (who, f) in enumerate(values)
        ]
    )


def compared(made: View, wanted: str, served: str) -> str:
    columns = [c.name for c in made.columns]
    key = [c.name for c in made.columns if c.key]
    return compare_sql(columns, tolerance(made), wanted, served, key, allowances=True)


def differences(made: View, run: reference.Run, served: str) -> list[dict[str, Any]]:
    duck = connection(run)
    wanted = expected(made, source(0), as_of(run), allowances=True).sql
    duck.execute(f"create table wanted as {wanted}")
    return fetched(duck, f"{compared(made, 'wanted', f'({served})')} order by all")


def test_what_is_expected_can_be_compared_with_another_expectation() -> None:
    made = sums_by_name()
    duck = connection(events_of([("a", 1.0), ("b", 3.0)]))
    wanted = expected(made, source(0), as_of(events_of([("a", 1.0)])), allowances=True).sql
    duck.execute(f"create table wanted as {wanted}")
    assert fetched(duck, compared(made, "wanted", "(from wanted)")) == []


def test_kinds_of_columns() -> None:
    made = sums_by_name()
    assert tolerance(made).columns == {
        "who": "exact",
        "n": "exact",
        "total": "float",
        "share": "float",
        "rounded": "decided",
    }
    assert not tolerance(made).exact
    assert not tolerance(made).rows


def test_a_ranking_by_a_float_may_differ_in_rows() -> None:
    made = sums_by_name()
    top = view(None, made.keys, made.aggregates, results=made.results, top=Top(3, "total"))
    assert tolerance(top).rows
    assert tolerance(top).columns["rank"] == "rank"
    exact = view(None, made.keys, made.aggregates[:1], results=made.results[:1], top=Top(3, "n"))
    assert tolerance(exact).exact


def test_every_kind_of_difference_is_named() -> None:
    run = events_of([("a", 1.0), (None, 2.0), ("b", 3.0), ("c", 1.0)])
    served = """select * from (values ('a', 1, 1.0::double, 1.0::double, 1),
        (null, 2, 2.0, 2.0, 2), ('b', 1, 3.1, 3.0, 99), ('d', 1, 1.0, 1.0, 1),
        ('a', 1, 1.0, 1.0, 1)) t(who, n, total, share, rounded)"""
    assert differences(sums_by_name(), run, served) == [
        {"who": "a", "_kind": "unexpected", "_columns": []},
        {"who": "b", "_kind": "different", "_columns": ["total", "rounded"]},
        {"who": "c", "_kind": "missing", "_columns": []},
        {"who": "d", "_kind": "unexpected", "_columns": []},
        {"who": None, "_kind": "different", "_columns": ["n"]},
    ]


@pytest.mark.parametrize(
    ("total", "equal"), [(0.0, True), (6e-17, True), (1e-11, True), (1e-8, False)]
)
def test_sums_that_cancel_out_are_judged_by_what_was_added(total: float, equal: bool) -> None:
    run = events_of([("a", 0.1), ("a", 0.2), ("a", -0.3)])
    given = f"{total}::double as total, {total}::double / 3 as share"
    served = f"select 'a' as who, 3 as n, {given}, 0 as rounded"
    assert (differences(sums_by_name(), run, served) == []) is equal


def test_infinity_and_nan_equal_themselves_only() -> None:
    inf, nan = float("inf"), float("nan")
    run = events_of([("a", inf), ("a", 1.0), ("b", nan), ("c", inf), ("c", -inf)])
    right = """select * from (values ('a', 2, 'inf'::double, 'inf'::double, null),
        ('b', 1, 'nan', 'nan', null), ('c', 2, 'nan', 'nan', null))
        t(who, n, total, share, rounded)"""
    assert differences(sums_by_name(), run, right) == []
    swapped = right.replace("'a'", "'x'").replace("'c'", "'a'").replace("'x'", "'c'")
    assert len(differences(sums_by_name(), run, swapped)) == 2
    finite = right.replace("'inf'::double", "1e308::double").replace("'nan'", "1e308")
    assert len(differences(sums_by_name(), run, finite)) == 3


@pytest.mark.parametrize("total", ["1e308", "inf", "-inf", "nan"])
def test_the_order_decides_sums_that_leave_the_range_of_a_float(total: str) -> None:
    run = events_of([("a", 1e308), ("a", 1e308), ("a", -1e308), ("a", -1e308), ("a", 1e308)])
    given = f"'{total}'::double as total, '{total}'::double as share"
    served = f"select 'a' as who, 5 as n, {given}, 0 as rounded"
    assert differences(sums_by_name(), run, served) == []


@pytest.mark.parametrize(("median", "equal"), [(500.0, True), (535.0, True), (560.0, False)])
def test_approximate_quantiles_are_judged_by_rank(median: float, equal: bool) -> None:
    python = Python()
    f = python.column("f", "DOUBLE")
    made = view(
        None,
        (),
        (call("a0", "approx_quantile", "DOUBLE", f, constants=("0.5",)),),
        results=(result("median", "a0", "DOUBLE"),),
    )
    assert tolerance(made).columns == {"median": "quantile"}
    run = events_of([("a", float(i)) for i in range(1000)])
    served = f"select {median}::double as median"
    assert (differences(made, run, served) == []) is equal


def test_a_smaller_key_keeps_the_greatest_start() -> None:
    python = Python()
    made = view(
        WINDOWS["tumble"](python),
        (Named("who", python.column("who", "VARCHAR")),),
        (call("a0", "count_star", "BIGINT"),),
    )
    run = events_of([("a", 1.0)] * 15 + [(None, 1.0)] * 7)
    output = Output("t", "table", "v", ("who",), ("window_start",))
    rows = kept_by_key(made, output, expected(made, source(0), as_of(run)))
    kept = fetched(
        connection(run), f"select who, window_start, r_a0 from ({rows.sql}) order by who"
    )
    start = reference.moment(10 * SECOND)
    assert kept == [
        {"who": "a", "window_start": start, "r_a0": 5},
        {"who": None, "window_start": reference.moment(20 * SECOND), "r_a0": 2},
    ]


def test_a_missing_column_is_an_error_not_a_difference() -> None:
    with pytest.raises(duckdb.Error):
        differences(sums_by_name(), events_of([("a", 1.0)]), "select 'a' as who")
