"""Sums in parts: exactly what Python's integers say, or an overflow."""

from __future__ import annotations

from decimal import Decimal, localcontext
from fractions import Fraction

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.plan.trying import LEFT_OUT
from headrace.plan.wide_sums import wide_sum

CONNECTION = duckdb.connect(config={"threads": 1})
CONNECTION.execute(f"set disabled_optimizers = '{LEFT_OUT}'")

LARGEST = 10**38 - 1
EDGES = [0, 1, -1, 10**20, -(10**20), 10**20 + 1, LARGEST, -LARGEST]


def summed(type_: str, written: list[str]) -> tuple[object, float | None]:
    """The sum (None: it overflows) and the mean, by way of the parts."""
    wide = wide_sum(type_)
    assert wide is not None
    rows = ", ".join(f"('{text}'::{type_})" for text in written)
    parts = f"select sum({wide.low}) as l, sum({wide.high}) as h, count(x) as n"
    row = CONNECTION.execute(
        f"select try({wide.total}), {wide.mean} from ({parts} from (values {rows}) t(x))"
    ).fetchone()
    assert row is not None
    return row


@pytest.mark.parametrize("type_", ["BIGINT", "UBIGINT", "DOUBLE", "DECIMAL(20,4)", "DECIMAL(9,9)"])
def test_what_cannot_overflow_is_summed_as_it_is(type_: str) -> None:
    assert wide_sum(type_) is None


@given(
    st.integers(21, 38).flatmap(lambda p: st.tuples(st.just(p), st.integers(0, p))),
    st.lists(
        st.one_of(st.sampled_from(EDGES), st.integers(-LARGEST, LARGEST)), min_size=1, max_size=6
    ),
)
def test_decimals(digits: tuple[int, int], numbers: list[int]) -> None:
    precision, scale = digits
    units = [n % 10**precision if n >= 0 else -(-n % 10**precision) for n in numbers]
    with localcontext(prec=60):
        written = [f"{Decimal(u).scaleb(-scale):f}" for u in units]
        total = Decimal(sum(units)).scaleb(-scale)
    found, mean = summed(f"DECIMAL({precision},{scale})", written)
    assert found == (total if abs(sum(units)) <= LARGEST else None)
    exact = Fraction(sum(units), 10**scale * len(units))
    # Where the numbers cancel out, what is left keeps the error of a double of their parts.
    assert mean == pytest.approx(float(exact), rel=1e-12, abs=10.0 ** (22 - scale) * 1e-15)


@given(st.lists(st.integers(-(2**127) + 1, 2**127 - 1), min_size=1, max_size=6))
def test_whole_numbers_of_128_bits(numbers: list[int]) -> None:
    found, mean = summed("HUGEINT", [str(n) for n in numbers])
    assert found == (sum(numbers) if abs(sum(numbers)) < 2**127 - 10**20 else found)
    assert found in (None, sum(numbers))
    exact = Fraction(sum(numbers), len(numbers))
    assert mean == pytest.approx(float(exact), rel=1e-12, abs=1e8)


def test_nothing_has_no_sum() -> None:
    wide = wide_sum("DECIMAL(38,2)")
    assert wide is not None
    parts = f"select sum({wide.low}) as l, sum({wide.high}) as h, count(x) as n"
    none = "(select null::decimal(38, 2) as x)"
    query = f"select {wide.total}, {wide.mean.replace('/ n', '/ nullif(n, 0)')}"
    assert CONNECTION.execute(f"{query} from ({parts} from {none})").fetchone() == (None, None)
