"""Sums of numbers so wide that their sum could overflow: kept in two parts that cannot.

DuckDB raises when a sum passes 38 digits, in the middle of a query and depending on the order of
the rows. So a value of more than 20 digits is split at the 20th: `low` and `high` are summed apart,
each with room for 10^18 rows, and the result puts them together, where an overflow fails like that
of any other expression over aggregates.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

_SPLIT = 20


@dataclass(frozen=True)
class WideSum:
    """SQL of the two parts of a value `x`, and of the sum and the mean over their sums.

    `low` and `high` read x, `total` reads their sums l and h, `mean` also the count n.
    """

    low: str
    high: str
    total: str
    mean: str


def wide_sum(type_: str) -> WideSum | None:
    """How values of `type_` are summed in parts; None where a plain sum cannot overflow."""
    if type_ == "HUGEINT":
        return _whole()
    match = re.fullmatch(r"DECIMAL\((\d+),(\d+)\)", type_)
    if match is None or int(match[1]) <= _SPLIT:
        return None
    return _decimal(type_, int(match[2]))


def _whole() -> WideSum:
    unit = f"cast('{10**_SPLIT}' as hugeint)"
    small = f"x between -{unit} and {unit}"
    return WideSum(
        low=f"case when {small} then x else x % {unit} end",
        high=f"case when {small} then 0 else cast(x // {unit} as bigint) end",
        total=f"h * {unit} + l",
        mean=f"(cast(h as double) * 1e{_SPLIT} + cast(l as double)) / n",
    )


def _decimal(type_: str, scale: int) -> WideSum:
    """The digit that parts them stands `scale - 20` behind the point, often before it."""
    at, wide = scale - _SPLIT, f"decimal(38, {scale})"
    unit = f"{Decimal(10) ** -at:f}"
    small = f"x between cast('-{unit}' as {type_}) and cast('{unit}' as {type_})"
    low = f"case when {small} then x else cast(x - trunc(x, {at}) as {type_}) end"
    if at < 0:
        # `high` counts units: the parts of it before the point would not fit a decimal's sum.
        step = f"cast('{unit}' as hugeint)"
        high, up = f"cast(cast(trunc(x, {at}) as hugeint) // {step} as bigint)", f"1e{-at}"
        carried = f"(h * {step} + cast(trunc(l, {at}) as hugeint))"
    else:
        step = f"cast('{unit}' as decimal(38, {at}))"
        high, up = f"cast(trunc(x, {at}) as decimal(18, {at}))", "1"
        carried = f"(h + trunc(l, {at}))"
    # What `low` has above a unit goes over to `high`; one unit stays behind, so that parts of
    # different sign do not overflow where their sum fits.
    kept = f"sign({carried}) * {step}"
    rest = f"cast(l - trunc(l, {at}) as {wide})"
    joined = f"cast({carried} - {kept} as {wide}) + cast({rest} + {kept} as {wide})"
    return WideSum(
        low=low,
        high=f"case when {small} then 0 else {high} end",
        total=f"case when h = 0 then l else cast({joined} as {wide}) end",
        mean=f"(cast(h as double) * {up} + cast(l as double)) / n",
    )
