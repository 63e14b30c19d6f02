"""Rows are compared as what they are, however their numbers are written and put in order."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.reference.compare import Between, same_rows


def test_the_same_rows_in_any_order_and_spelling() -> None:
    found = [{"k": Decimal("0.00"), "n": 1}, {"k": Decimal("-3.00"), "n": 2}]
    wanted = [{"k": Decimal("-3"), "n": 2}, {"k": Decimal("-0"), "n": Between(0.5, 1.5)}]
    same_rows(found, wanted, ("k",), "rows")
    same_rows(found, wanted, (), "rows")


@pytest.mark.parametrize(
    ("found", "wanted"),
    [([1, 1, 2], [1, 2, 2]), ([1], [1, 1]), ([1, 1], [1]), ([1], [True]), ([None], [0])],
)
def test_each_row_stands_for_one(found: list[object], wanted: list[object]) -> None:
    with pytest.raises(AssertionError, match="rows instead of"):
        same_rows([{"n": n} for n in found], [{"n": n} for n in wanted], (), "rows")
