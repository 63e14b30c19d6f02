"""The key of a dedupe: equal for equal values, and for no others."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

import duckdb
from hypothesis import given
from hypothesis import strategies as st

from headrace.engines.kernel.dedupe import key_sql

CONNECTION = duckdb.connect(config={"threads": 1})
TYPES = ["VARCHAR", "VARCHAR", "BIGINT", "DOUBLE", "TIMESTAMP", "DECIMAL(38,4)", "VARCHAR[]"]

TEXTS = st.one_of(st.none(), st.text('ab,"\\:[]null ', max_size=3), st.text(max_size=3))
FLOATS = st.sampled_from([None, 0.0, -0.0, 1.0, 0.1, 0.30000000000000004, 0.3, 1e300, 5e-324])
ROWS = st.tuples(
    TEXTS,
    TEXTS,
    st.one_of(st.none(), st.integers(-3, 3), st.sampled_from([2**63 - 1, 2**63 - 2])),
    FLOATS,
    st.one_of(st.none(), st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31))),
    st.sampled_from([None, *map(Decimal, ("0", "1.5", "12345678901234567890123.4567"))])
    | st.integers(-5, 5).map(Decimal),
    st.one_of(st.none(), st.lists(TEXTS, max_size=3)),
)


def keys(rows: list[tuple[Any, ...]]) -> list[int]:
    sql = key_sql([(f"(c{i}::{type_})", type_) for i, type_ in enumerate(TYPES)])
    names = ", ".join(f"c{i}" for i in range(len(TYPES)))
    marks = ", ".join(f"?::{type_}" for type_ in TYPES)
    found = []
    for row in rows:
        query = f"select {sql} from (select {marks}) t({names})"
        found.append(CONNECTION.execute(query, list(row)).fetchall()[0][0])
    return found


@given(ROWS, ROWS, st.sets(st.integers(0, len(TYPES) - 1)))
def test_keys_are_equal_for_equal_values_only(
    one: tuple[Any, ...], other: tuple[Any, ...], shared: set[int]
) -> None:
    other = tuple(one[i] if i in shared else v for i, v in enumerate(other))
    # Python too takes 0.0 and -0.0 for equal.
    assert (keys([one])[0] == keys([other])[0]) == (one == other)


def test_what_looks_alike_in_text_is_told_apart() -> None:
    empty = (None,) * len(TYPES)
    alike = [
        ("a", "b", *empty[2:]),
        ("a,b", None, *empty[2:]),
        ('a","v1":"b', None, *empty[2:]),
        ("ab", "", *empty[2:]),
        ("null", "b", *empty[2:]),
        (None, "b", *empty[2:]),
        (*empty[:6], ["a", "b"]),
        (*empty[:6], ["a, b"]),
        (*empty[:6], []),
        empty,
    ]
    assert len(set(keys(alike))) == len(alike)
