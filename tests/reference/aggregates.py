"""Aggregates over Python lists, straight from their definitions."""

from __future__ import annotations

import functools
import math
import operator
import statistics
from collections.abc import Callable
from decimal import localcontext
from typing import Any

from headrace.plan.operators import AggregateCall
from tests.reference.compare import Between, near
from tests.reference.events import Functions
from tests.reference.steps import Row

RANK_ERROR = 0.04
"""Of an approximate quantile, as a share of the values: what is declared."""

STANDARD_ERROR = 0.0325
"""Of an approximate number of distinct values, relative: that of 1,024 registers."""


def aggregate(call: AggregateCall, rows: list[Row], functions: Functions) -> Any:
    """The value of `call` over `rows`, which may be in any order."""
    ordered = sorted(rows, key=lambda r: r.place)
    if call.filter is not None:
        condition = functions[call.filter.sql]
        ordered = [r for r in ordered if condition(r.values)]
    arguments = [[functions[e.sql](r.values) for e in call.arguments] for r in ordered]
    return _FUNCTIONS[call.function](call, arguments)


def in_parts(call: AggregateCall) -> bool:
    """Whether the engine keeps one part of a sum that would be too wide, not the sum itself."""
    [*arguments] = call.arguments
    return call.function == "sum" and any(
        a.sql.startswith("CASE") and not a.text.lower().startswith("case") for a in arguments
    )


def wide(text: str, type_: str, rows: list[Row], functions: Functions) -> tuple[bool, Any]:
    """(whether it fits its type, the value) of `sum(…)` or `avg(…)`, as it was written."""
    name, _, rest = text.partition("(")
    assert name in ("sum", "avg") and rest.endswith(")"), f"nobody said what {text} means"
    found = [functions[rest[:-1]](r.values) for r in rows]
    values = [v for v in found if v is not None]
    if not values:
        return True, None
    with localcontext(prec=80):
        total = sum(values)
        if name == "avg":
            size = float(sum(map(abs, values)) / len(values))
            return True, near(float(total / len(values)), size)
        scale = int(type_.rpartition(",")[2].rstrip(")")) if type_ != "BIGINT" else 0
        most = 10 ** (38 - scale) if type_ != "BIGINT" else 2**63
        return (True, total) if -most <= total < most else (False, None)


Arguments = list[list[Any]]


def _present(arguments: Arguments) -> list[Any]:
    return [a[0] for a in arguments if a[0] is not None]


def _reduced(combine: Callable[[Any, Any], Any]) -> Callable[[AggregateCall, Arguments], Any]:
    def reduce(call: AggregateCall, arguments: Arguments) -> Any:
        values = _present(arguments)
        return functools.reduce(combine, values) if values else None

    return reduce


def _sum(call: AggregateCall, arguments: Arguments) -> Any:
    values = _present(arguments)
    if not values:
        return None
    if isinstance(values[0], float):
        return near(math.fsum(values), math.fsum(map(abs, values)))
    total = sum(values)
    return total if call.type != "BIGINT" or -(2**63) <= total < 2**63 else None


def _count(call: AggregateCall, arguments: Arguments) -> int:
    values = _present(arguments)
    return len(set(values)) if call.distinct else len(values)


def _avg(call: AggregateCall, arguments: Arguments) -> Any:
    values = [float(v) for v in _present(arguments)]
    if not values:
        return None
    return near(math.fsum(values) / len(values), math.fsum(map(abs, values)) / len(values))


def _picked(call: AggregateCall, arguments: Arguments) -> Any:
    """arg_min takes the first of the least, arg_max the last of the greatest."""
    pairs = [a for a in arguments if a[0] is not None and a[1] is not None]
    if not pairs:
        return None
    best = pairs[0]
    for pair in pairs[1:]:
        if pair[1] < best[1] if call.function == "arg_min" else pair[1] >= best[1]:
            best = pair
    return best[0]


def _spread(
    least: int, measure: Callable[[list[float]], float]
) -> Callable[[AggregateCall, Arguments], Any]:
    def spread(call: AggregateCall, arguments: Arguments) -> Any:
        values = [float(v) for v in _present(arguments)]
        if len(values) < least:
            return None
        scale = max(map(abs, values))
        return near(measure(values), scale**2 if "var" in call.function else scale)

    return spread


def _quantile_cont(call: AggregateCall, arguments: Arguments) -> Any:
    values = sorted(float(v) for v in _present(arguments))
    if not values:
        return None
    at = float(call.constants[0] if call.constants else "0.5") * (len(values) - 1)
    low, high = values[math.floor(at)], values[math.ceil(at)]
    share = at - math.floor(at)
    return near(low * (1 - share) + high * share, max(abs(low), abs(high)))


def _quantile_disc(call: AggregateCall, arguments: Arguments) -> Any:
    values = sorted(_present(arguments))
    if not values:
        return None
    return values[max(1, math.ceil(float(call.constants[0]) * len(values))) - 1]


def _approx_quantile(call: AggregateCall, arguments: Arguments) -> Any:
    """Any value within the declared error of rank; of few values, any beside those at the rank."""
    values = sorted(float(v) for v in _present(arguments))
    if not values:
        return None
    last, error = len(values) - 1, max(1.0, RANK_ERROR * len(values))
    at = float(call.constants[0]) * last
    low, high = max(0, math.floor(at - error)), min(last, math.ceil(at + error))
    return Between(values[low], values[high])


def _approx_count_distinct(call: AggregateCall, arguments: Arguments) -> Any:
    """Five times the standard error; of few values three, and never more than half of them."""
    count = len(set(_present(arguments)))
    allowed = max(min(count // 2, 3), 5 * STANDARD_ERROR * count)
    return Between(count - allowed, count + allowed)


def _last_row(call: AggregateCall, arguments: Arguments) -> Any:
    return {f"x{i}": v for i, v in enumerate(arguments[-1])} if arguments else None


_FUNCTIONS: dict[str, Callable[[AggregateCall, Arguments], Any]] = {
    "count_star": lambda call, arguments: len(arguments),
    "count": _count,
    "sum": _sum,
    "avg": _avg,
    "min": _reduced(min),
    "max": _reduced(max),
    "arg_min": _picked,
    "arg_max": _picked,
    "first": lambda call, arguments: arguments[0][0] if arguments else None,
    "last": lambda call, arguments: arguments[-1][0] if arguments else None,
    "last_row": _last_row,
    "list": lambda call, arguments: [a[0] for a in arguments] or None,
    "bool_and": _reduced(operator.and_),
    "bool_or": _reduced(operator.or_),
    "bit_and": _reduced(operator.and_),
    "bit_or": _reduced(operator.or_),
    "bit_xor": _reduced(operator.xor),
    "stddev_samp": _spread(2, statistics.stdev),
    "stddev_pop": _spread(1, statistics.pstdev),
    "var_samp": _spread(2, statistics.variance),
    "var_pop": _spread(1, statistics.pvariance),
    "quantile_cont": _quantile_cont,
    "quantile_disc": _quantile_disc,
    "approx_count_distinct": _approx_count_distinct,
    "approx_quantile": _approx_quantile,
}
