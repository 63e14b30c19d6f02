"""What is said not to fail does not, on values as odd as they come."""

from __future__ import annotations

import random
from functools import cache

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headrace.plan.bind import bind
from headrace.plan.parse import Text
from headrace.plan.scope import Scope
from headrace.values.errors import DefinitionError

COLUMNS = (
    ("i", "BIGINT"),
    ("j", "BIGINT"),
    ("k", "INTEGER"),
    ("d", "DOUBLE"),
    ("e", "DOUBLE"),
    ("m", "DECIMAL(18,2)"),
    ("s", "VARCHAR"),
    ("u", "VARCHAR"),
    ("b", "BOOLEAN"),
    ("t", "TIMESTAMP"),
    ("v", "DATE"),
    ("l", "BIGINT[]"),
    ("r", 'STRUCT("x" BIGINT, "y" VARCHAR)'),
)
SCOPE = Scope(COLUMNS, "the row")

VALUES = {
    "i": ["1", "9223372036854775807", "-9223372036854775808", "0"],
    "j": ["2", "-1", "0", "-9223372036854775808"],
    "k": ["3", "2147483647", "-2147483648", "0"],
    "d": ["1.5", "1e308", "'-inf'", "0"],
    "e": ["-2.5", "'nan'", "'inf'", "-0.0"],
    "m": ["1.25", "9999999999999999.99", "-9999999999999999.99", "0"],
    "s": ["'a'", "''", "'ß\\'", "'2026-02-30'"],
    "u": ["'b'", "'%_\\'", "'('", "'99999999999999999999'"],
    "b": ["true", "false"],
    "t": ["'2026-01-01 12:00:00'", "'9999-12-31 23:59:59.999999'", "'0001-01-01'"],
    "v": ["'2026-01-01'", "'9999-12-31'", "'0001-01-01'"],
    "l": ["[1, 2]", "[]", "[null]", "[9223372036854775807]"],
    "r": ["{'x': 1, 'y': 'q'}", "{'x': null, 'y': null}"],
}


@cache
def rows() -> duckdb.DuckDBPyConnection:
    """A thousand rows of the oddest values, nulls among them, mixed with a fixed seed."""
    chance = random.Random(3)
    mixed = [
        f"({', '.join(chance.choice([*VALUES[name], 'null']) for name, _ in COLUMNS)})"
        for _ in range(1000)
    ]
    duck = duckdb.connect()
    duck.execute(f"create table rows ({', '.join(f'{n} {t}' for n, t in COLUMNS)})")
    duck.execute(f"insert into rows values {', '.join(mixed)}")
    return duck


integers = st.sampled_from(["i", "j", "k", "7", "0", "-1", "r.x", "l[1]"])
floats = st.sampled_from(["d", "e", "0.0", "1e300", "cast(m as double)"])
texts = st.sampled_from(["s", "u", "'a'", "''", "r.y", "cast(t as varchar)"])
times = st.sampled_from(["t", "v", "timestamp '2026-01-01'"])


def grown(size: int) -> st.SearchStrategy[str]:
    """Expressions of the forms that `safety` knows, and of some that it does not."""
    numbers = st.one_of(integers, floats, st.just("m"))
    conditions = st.one_of(
        st.sampled_from(["b", "true", "null::boolean"]),
        st.builds("({} {} {})".format, numbers, st.sampled_from(["=", "<", ">=", "<>"]), numbers),
        st.builds("({} = {})".format, texts, texts),
        st.builds("({} < {})".format, times, times),
        st.builds("({} like {})".format, texts, texts),
        st.builds("({} in ({}, {}))".format, numbers, numbers, numbers),
        st.builds("({} between {} and {})".format, numbers, numbers, numbers),
        st.builds("({} is not distinct from {})".format, texts, texts),
    )
    values = st.one_of(
        st.builds("({} {} {})".format, numbers, st.sampled_from([*"+-*/%", "//"]), numbers),
        st.builds(
            "{}({})".format,
            st.sampled_from(["abs", "sqrt", "ln", "log10", "exp", "round", "floor", "sign"]),
            numbers,
        ),
        st.builds("power({}, {})".format, floats, floats),
        st.builds("-{}".format, numbers),
        st.builds(
            "{}({})".format,
            st.sampled_from(["lower", "upper", "length", "trim", "reverse", "md5", "ascii"]),
            texts,
        ),
        st.builds("substring({}, {}, {})".format, texts, integers, integers),
        st.builds("left({}, {})".format, texts, integers),
        st.builds("lpad({}, {}, 'x')".format, texts, integers),
        st.builds("rpad({}, 9, {})".format, texts, texts),
        st.builds("split_part({}, {}, {})".format, texts, texts, integers),
        st.builds("concat({}, {}, {})".format, texts, numbers, times),
        st.builds("({} || {})".format, texts, numbers),
        st.builds("replace({}, {}, {})".format, texts, texts, texts),
        st.builds("regexp_matches({}, {})".format, texts, texts),
        st.builds(
            "{}({})".format, st.sampled_from(["year", "hour", "epoch", "week", "dayname"]), times
        ),
        st.builds(
            "{}('{}', {})".format,
            st.sampled_from(["date_trunc", "date_part"]),
            st.sampled_from(["day", "hour", "month", "week", "microsecond", "century"]),
            times,
        ),
        st.builds("strftime({}, '%Y-%m-%d')".format, times),
        st.builds(
            "cast({} as {})".format,
            st.one_of(numbers, texts, times),
            st.sampled_from(["varchar", "bigint", "double", "date", "timestamp", "decimal(9,2)"]),
        ),
        st.builds("greatest({}, {})".format, numbers, numbers),
        st.builds("list_contains(l, {})".format, integers),
        st.builds("list_position(l, {})".format, integers),
        st.builds("l[{}]".format, integers),
        st.builds("coalesce({}, {})".format, numbers, numbers),
        st.builds("nullif({}, {})".format, numbers, numbers),
        st.builds("{{'a': {}, 'b': {}}}".format, numbers, texts),
        st.builds("[{}, {}]".format, numbers, numbers),
    )
    if size == 0:
        return st.one_of(conditions, values)
    inner = st.one_of(conditions, grown(size - 1).filter(lambda e: e.startswith("(")))
    return st.one_of(
        values,
        st.builds("({} and not {})".format, inner, inner),
        st.builds("case when {} then {} else {} end".format, inner, numbers, numbers),
        st.builds("if({}, {}, {})".format, inner, texts, texts),
    )


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(grown(1))
def test_what_cannot_fail_does_not(text: str) -> None:
    try:
        made = bind(Text(text, "app.py:1"), SCOPE).expression
    except DefinitionError:
        return
    if not made.can_fail:
        rows().execute(f"select {made.sql} from rows").fetchall()


@pytest.mark.parametrize(
    "text",
    [
        "s = 'page_view'",
        "i > 3 and d < 2.5",
        "cast(t as date)",
        "date_trunc('hour', t)",
        "lower(s) like 'a%'",
        "i / j",
        "d * 2 + e",
        "r.x is not null",
        "coalesce(s, u, '')",
        "try_cast(s as integer)",
        "i % 10",
        "round(d, 2)",
        "case when b then 'x' else s end",
    ],
)
def test_the_common_forms_are_not_caught(text: str) -> None:
    assert not bind(Text(text, ""), SCOPE).expression.can_fail


@pytest.mark.parametrize(
    "text",
    [
        "cast(s as integer)",
        "i + j",
        "i * 2",
        "-i",
        "abs(i)",
        "i // j",
        "i % j",
        "cast(i as integer)",
        "cast(d as bigint)",
        "substring(s, j)",
        "strptime(s, '%Y')",
        "regexp_matches(s, u)",
        "repeat(s, i)",
        "json_extract(s, '$.a')",
        "list_transform(l, x -> x + 1)",
        "t + interval 1 day",
        "to_timestamp(d)",
    ],
)
def test_what_may_fail_is_caught(text: str) -> None:
    assert bind(Text(text, ""), SCOPE).expression.can_fail
