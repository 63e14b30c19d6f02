"""Expressions: canonical text, type, columns, and what DuckDB then makes of them."""

from __future__ import annotations

from typing import Any

import duckdb
import pytest

from headrace.plan.bind import bind_column
from headrace.plan.operators import Expression
from headrace.plan.parse import Text
from headrace.plan.scope import Scope
from headrace.values.schema import quote

COLUMNS = (
    ("a", "BIGINT"),
    ("order", "BIGINT"),
    ("s", "VARCHAR"),
    ("t", "TIMESTAMP"),
    ("d", "DOUBLE"),
    ("l", 'STRUCT("x" BIGINT, "Yy" VARCHAR)[]'),
    ("info", 'STRUCT("gameDuration" BIGINT, "p" STRUCT("n" VARCHAR))'),
    ("dec", "DECIMAL(18,2)"),
    ("b", "BOOLEAN"),
)
SCOPE = Scope(COLUMNS, "event Foo", clock=True)


def bound(text: str) -> Expression:
    return bind_column(Text(text, "app.py:1"), SCOPE).expression


@pytest.mark.parametrize(
    ("text", "sql"),
    [
        ("A", "a"),
        ('"A"', "a"),
        ('"order" + 1', '("order" + 1)'),
        ("info.GAMEduration", "(info).gameDuration"),
        ("info.p.n", "((info).p).n"),
        ("l[1].yy", "(l[1]).yy"),
        ("s.lower()", "lower(s)"),
        ("info.p.n.upper()", "upper(((info).p).n)"),
        ("LOWER(s)", "lower(s)"),
        ("order", '"order"'),
        (" ORDER ", '"order"'),
        ("s -> '$.a'", "CAST(json_extract(s, '$.a') AS VARCHAR)"),
        ("list_transform(l, x -> x.x)", "list_transform(l, (lambda __x: __x.x))"),
        ("list_transform(l, (s, i) -> i)", "list_transform(l, (lambda __s, __i: __i))"),
        ("a // 2", "(a // 2)"),
        ("a / 2.50", "(a / 2.50)"),
        ("a / d", '(a / "nullif"(d, 0))'),
        ("a % 0", '(a % "nullif"(0, 0))'),
        ("mod(a, a)", 'mod(a, "nullif"(a, 0))'),
        ("(a, s)", "struct_pack(v1 := a, v2 := s)"),
        ("processing_time()", "_processing_time"),
        ("t::timestamptz", "timezone('UTC', CAST(t AS timestamptz))"),
        ("a::hugeint * 2", "CAST((CAST(a AS hugeint) * 2) AS BIGINT)"),
        ("-- why\n a", "a"),
    ],
)
def test_canonical_text(text: str, sql: str) -> None:
    assert bound(text).sql == sql


@pytest.mark.parametrize(
    ("text", "type_"),
    [
        ("a", "BIGINT"),
        ("a::hugeint", "BIGINT"),
        ("a::ubigint", "BIGINT"),
        ("a::utinyint", "BIGINT"),
        ("1::tinyint", "TINYINT"),
        ("a / 2", "DOUBLE"),
        ("dec * dec", "DECIMAL(18,4)"),
        ("to_timestamp(a)", "TIMESTAMP"),
        ("t::timestamp_ns", "TIMESTAMP"),
        ("s::json", "VARCHAR"),
        ("s::uuid", "VARCHAR"),
        ("'a'::enum('a', 'b')", "VARCHAR"),
        ("[a::hugeint]", "BIGINT[]"),
        ("{'a': a::ubigint, 'b': [s::json]}", 'STRUCT("a" BIGINT, "b" VARCHAR[])'),
        ("info", "STRUCT(gameDuration BIGINT, p STRUCT(n VARCHAR))"),
        ("map {'a': a::ubigint}", "MAP(VARCHAR, BIGINT)"),
        ("cast(t as date)", "DATE"),
        ("encode(s)", "BLOB"),
    ],
)
def test_types_of_columns(text: str, type_: str) -> None:
    made = bound(text)
    assert made.type == type_
    with duckdb.connect() as duck:
        declared = ", ".join(f"{quote(n)} {t}" for n, t in COLUMNS)
        duck.execute(f"create table rows ({declared})")
        relation = duck.sql(f"select {made.sql} as x from rows")
        assert str(relation.types[0]).replace('"', "") == type_.replace('"', "")


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("1", ()),
        ("a + A + d", ("a", "d")),
        ("info.gameDuration > a", ("info", "a")),
        ("list_filter(l, lambda a: a.x > 1)", ("l",)),
        ("list_filter(l, lambda y: y.x > a)", ("l", "a")),
        ("[y.x for y in l if y.x > a]", ("l", "a")),
        ("s.length()", ("s",)),
        ("processing_time()", ()),
    ],
)
def test_columns_that_are_read(text: str, columns: tuple[str, ...]) -> None:
    assert bound(text).columns == columns


def test_processing_time_is_marked() -> None:
    assert bound("date_trunc('day', processing_time())").changes_with_run
    assert not bound("date_trunc('day', t)").changes_with_run


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1 / 0", None),
        ("1.5 / 0", None),
        ("1 // 0", None),
        ("1 / 0e5", None),
        ("1 / 1_0", 0.1),
        ("mod(1, 0)", None),
        ("1 % (1 - 1)", None),
        ("2 / (3 - 1)", 1.0),
        ("list_transform([1, 2], x -> x + 1)", [2, 3]),
        ("[x * 2 for x in [1, 2, 3] if x > 1]", [4, 6]),
        ("""'{"a": {"b": 1}}' -> '$.a'""", '{"b":1}'),
        ("""'{"a": {"b": 1}}' ->> '$.a.b'""", "1"),
        ("(1, 'x')", {"v1": 1, "v2": "x"}),
    ],
)
def test_values(text: str, value: Any) -> None:
    with duckdb.connect() as duck:
        row = duck.execute(f"select {bound(text).sql}").fetchone()
    assert row == (value,)
