"""Aggregates as ordinary DuckDB aggregates over rows that still have their place in the log.

Where the outcome depends on order, the place decides: the lowest for `first` and `arg_min`, the
highest for `last`, `arg_max` and `last_row`; `list` is in that order.
"""

from __future__ import annotations

from collections.abc import Sequence

from headrace.plan.operators import AggregateCall, Expression
from headrace.plan.types import one_zero

_CHOOSING = ("min", "max", "quantile_cont", "quantile_disc", "median")


def inputs(call: AggregateCall) -> list[tuple[str, Expression]]:
    """Names and expressions of the columns that `call` is computed from."""
    named = [(f"_{call.id}_x{i}", e) for i, e in enumerate(call.arguments)]
    if call.filter is not None:
        named.append((f"_{call.id}_filter", call.filter))
    return named


def aggregate(call: AggregateCall, order: Sequence[str], where: Sequence[str] = ()) -> str:
    """`call` over a group, under its id and in its own type; rows must also pass `where`."""
    x = [f"_{call.id}_x{i}" for i in range(len(call.arguments))]
    wanted = list(where)
    if call.filter is not None:
        wanted.append(f"_{call.id}_filter")
    if call.function in ("arg_min", "arg_max"):
        wanted.append(f"{x[1]} is not null")
    condition = f" filter (where {' and '.join(wanted)})" if wanted else ""
    value = _value(call, x, ", ".join(order), condition)
    return f"try_cast({value} as {call.type}) as {call.id}"


def _value(call: AggregateCall, x: Sequence[str], place: str, condition: str) -> str:
    match call.function:
        case "count_star":
            return f"count(*){condition}"
        case "first":
            return f"(arg_min({{'v': {x[0]}}}, row({place})){condition}).v"
        case "last":
            return f"(arg_max({{'v': {x[0]}}}, row({place})){condition}).v"
        case "last_row":
            fields = ", ".join(f"'x{i}': {name}" for i, name in enumerate(x))
            return f"arg_max({{{fields}}}, row({place})){condition}"
        case "arg_min" | "arg_max":
            return f"{call.function}({x[0]}, row({x[1]}, {place})){condition}"
        case "list":
            return f"list({x[0]} order by {place}){condition}"
    if call.function in _CHOOSING:
        x = [one_zero(x[0], call.arguments[0].type)]
    distinct = "distinct " if call.distinct else ""
    value = f"{call.function}({distinct}{', '.join([*x, *call.constants])}){condition}"
    if call.function == "approx_quantile":
        # Threads merge their parts, and DuckDB then takes the greatest of negative values for 0.
        return f"least({value}, max({x[0]}){condition})"
    return value
