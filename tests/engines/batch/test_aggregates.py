"""Every aggregate against its definition in plain Python."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from headrace.engines.batch.expected import expected
from headrace.plan.operators import AggregateCall, Expression, Named, View
from tests import reference
from tests.engines.batch.logs import as_of, connection, fetched, runs, source
from tests.engines.batch.plans import WINDOWS, Python, call, view, with_ids
from tests.engines.batch.test_compare import compared

FEW = settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)


def calls(python: Python) -> list[AggregateCall]:
    n, f = python.column("n", "BIGINT"), python.column("f", "DOUBLE")
    yes = python("n > 0", "BOOLEAN", lambda r: None if r["n"] is None else r["n"] > 0)
    ended = python("mark = 'e'", "BOOLEAN", lambda r: r["mark"] == "e")
    made = [
        call("", "count_star", "BIGINT"),
        call("", "count", "BIGINT", n),
        call("", "count", "BIGINT", n, distinct=True),
        call("", "sum", "BIGINT", n),
        call("", "sum", "DOUBLE", f),
        call("", "avg", "DOUBLE", f),
        call("", "arg_min", "VARCHAR", python.column("mark", "VARCHAR"), n),
        call("", "arg_max", "VARCHAR", python.column("text", "VARCHAR"), n),
        call("", "approx_count_distinct", "BIGINT", n),
        call("", "list", "DOUBLE[]", f),
        call("", "quantile_cont", "DOUBLE", f, constants=("0.3",)),
        call("", "quantile_disc", "BIGINT", n, constants=("0.7",)),
        *(call("", name, "BOOLEAN", yes) for name in ("bool_and", "bool_or")),
        *(call("", name, "BIGINT", n) for name in ("min", "max", "first", "last")),
        *(call("", name, "BIGINT", n) for name in ("bit_and", "bit_or", "bit_xor")),
        *(
            call("", name, "DOUBLE", f)
            for name in ("stddev_samp", "stddev_pop", "var_samp", "var_pop")
        ),
    ]
    filtered = [
        AggregateCall("", c.function, c.arguments, c.type, c.distinct, ended, c.constants)
        for c in made
    ]
    return [
        AggregateCall(f"a{i}", c.function, c.arguments, c.type, c.distinct, c.filter, c.constants)
        for i, c in enumerate(made + filtered)
    ]


def everything(name: str, python: Python) -> View:
    keys = (Named("who", python.column("who", "VARCHAR")),)
    return with_ids(python, view(WINDOWS[name](python), keys, tuple(calls(python))))


@pytest.mark.parametrize("name", ["totals", "tumble", "gap", "marks"])
@FEW
@given(run=runs())
def test_every_aggregate(name: str, run: reference.Run) -> None:
    python = Python()
    made = everything(name, python)
    duck = connection(run)
    plain = expected(made, source(run.lateness_us), as_of(run)).sql
    right = reference.expected(made, run, python.functions)
    reference.same_rows(fetched(duck, plain), right, made.key_columns, name)
    duck.execute(f"create table served as {plain} limit 0")
    for row in right:
        marks = ", ".join("?" for _ in row)
        values = [plain_value(value) for value in row.values()]
        duck.execute(f"insert into served values ({marks})", values)
    allowing = expected(made, source(run.lateness_us), as_of(run), allowances=True).sql
    duck.execute(f"create table wanted as {allowing}")
    # Interpolation rounds its last digit in more than one way; the text above held nine digits.
    interpolated = {f"r_{c.id}" for c in made.aggregates if c.function == "quantile_cont"}
    differing = fetched(duck, compared(made, "wanted", "served"))
    assert [d for d in differing if not set(d["_columns"]) <= interpolated] == []


def plain_value(value: object) -> object:
    """What is in the middle of what is right."""
    return (value.low + value.high) / 2 if isinstance(value, reference.Between) else value


@FEW
@given(run=runs())
def test_last_row_takes_the_highest_in_the_order(run: reference.Run) -> None:
    python = Python()
    columns = [("n", "BIGINT"), ("mark", "VARCHAR")]
    last = call(
        "a0", "last_row", "STRUCT(x0 BIGINT, x1 VARCHAR)", *(python.column(*c) for c in columns)
    )
    results = tuple(
        Named(name, Expression(f"a0.x{i}", f"a0.x{i}", type_, ("a0",)))
        for i, (name, type_) in enumerate(columns)
    )
    for i in range(2):
        python.functions[f"a0.x{i}"] = lambda row, i=i: row["a0"][f"x{i}"]
    made = view(None, (Named("who", python.column("who", "VARCHAR")),), (last,), results=results)
    rows = fetched(connection(run), expected(made, source(run.lateness_us), as_of(run)).sql)
    wanted = reference.expected(made, run, python.functions)
    reference.same_rows(rows, wanted, made.key_columns, "last_row")
