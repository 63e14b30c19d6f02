"""Aggregates as states: how each is started, merged and read.

A state is one or more plain columns, so that it can be stored, shipped and combined in any
order. Only sketches and moments use DuckDB's exported states, whose layout belongs to its
version. Order-dependent aggregates carry the row's place (time, partition, offset, position), so
that merging needs no order.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from headrace.plan.operators import AggregateCall
from headrace.plan.types import one_zero


def _either(both: str) -> str:
    """SQL for `both` of two values; the other where one is null."""
    return f"coalesce({both}, {{a}}, {{b}})"


PLACE = "t := _time, p := _partition, o := _offset, i := _pos"

# How two values become one, by aggregate; a null one leaves the other.
_SAME = {
    "min": "least({a}, {b})",
    "max": "greatest({a}, {b})",
    "bool_and": _either("{a} and {b}"),
    "bool_or": _either("{a} or {b}"),
    "bit_and": _either("{a} & {b}"),
    "bit_or": _either("{a} | {b}"),
    "bit_xor": _either("xor({a}, {b})"),
}
_ADDED = _either("{a} + {b}")
_LONGER = "list_concat({a}, {b})"
_UNITED = f"list_distinct({_LONGER})"
_EXPORTED = {
    "approx_count_distinct",
    "approx_quantile",
    "stddev_samp",
    "stddev_pop",
    "var_samp",
    "var_pop",
}
_FROM_VALUES = {"quantile_cont", "quantile_disc", "median"}


@dataclass(frozen=True)
class StateColumn:
    """One column of a state: its name, how rows make it, how states make it one.

    `joined` says the same of two states `{a}` and `{b}`, without grouping them.
    """

    name: str
    partial: str
    merge: str
    joined: str


@dataclass(frozen=True)
class AggregateState:
    """All state columns of one call, and the SQL that reads the value from them."""

    columns: tuple[StateColumn, ...]
    final: str


def argument(call: AggregateCall, index: int = 0) -> str:
    """The column under which `place` leaves the argument of a call."""
    return f"{call.id}_x{index}"


def condition(call: AggregateCall) -> str:
    """The column under which `place` leaves the filter of a call."""
    return f"{call.id}_f"


def aggregate_state(call: AggregateCall) -> AggregateState:
    """The state of `call` over rows as `place` leaves them (`a0_x0`, …, and their place)."""
    made = _state(call)
    columns = tuple(
        replace(c, partial=_filtered(call, c.partial), merge=c.merge.format(c=c.name))
        for c in made[0]
    )
    return AggregateState(columns, f"cast({made[1]} as {call.type})")


def _filtered(call: AggregateCall, partial: str) -> str:
    """Adds the call's own filter to the one that the state needs."""
    needs, _, own = partial.partition(" WHERE ")
    both = [c for c in (own, condition(call) if call.filter else "") if c]
    if not both:
        return partial
    exported = " export_state" if needs.endswith(" export_state") else ""
    return f"{needs.removesuffix(exported)} filter (where {' and '.join(both)}){exported}"


def _state(call: AggregateCall) -> tuple[list[StateColumn], str]:
    a, x, y = call.id, argument(call), argument(call, 1)
    function = "count_distinct" if call.distinct and call.function == "count" else call.function
    if function in ("count_star", "count"):
        rows = "count(*)" if function == "count_star" else f"count({x})"
        return [StateColumn(a, rows, "sum({c})::bigint", _ADDED)], f"coalesce({a}, 0)"
    if function == "sum":
        return [StateColumn(a, f"sum({x})", "sum({c})", _ADDED)], a
    if function == "avg":
        pair = [
            StateColumn(f"{a}_s", f"sum({x})", "sum({c})", _ADDED),
            StateColumn(f"{a}_n", f"count({x})", "sum({c})::bigint", _ADDED),
        ]
        return pair, f"({a}_s::double / nullif({a}_n, 0))"
    if function in _SAME:
        x = one_zero(x, call.arguments[0].type)
        return [StateColumn(a, f"{function}({x})", f"{function}({{c}})", _SAME[function])], a
    if function in _EXPORTED:
        constants = "".join(f", {c}" for c in call.constants)
        partial = f"{function}({x}{constants}) export_state"
        state = StateColumn(a, partial, "combine_aggr({c})", _either("combine({a}, {b})"))
        if function != "approx_quantile":
            return [state], f"finalize({a})"
        # DuckDB takes the greatest of values that are all negative for 0 once states are merged.
        greatest = StateColumn(f"{a}_m", f"max({x})", "max({c})", _SAME["max"])
        return [state, greatest], f"least(finalize({a}), {a}_m)"
    return _ordered(function, a, x, y, call)


def _ordered(
    function: str, a: str, x: str, y: str, call: AggregateCall
) -> tuple[list[StateColumn], str]:
    """States that hold values: sets, lists, and single rows picked by place."""
    if function in ("first", "last"):
        pick = "min" if function == "first" else "max"
        partial = f"{pick}(struct_pack({PLACE}, v := {x}))"
        return [StateColumn(a, partial, f"{pick}({{c}})", _SAME[pick])], f"{a}.v"
    if function in ("arg_min", "arg_max"):
        pick = function.removeprefix("arg_")
        partial = (
            f"{pick}(struct_pack(y := {y}, {PLACE}, v := {x}))"
            f" WHERE {x} is not null and {y} is not null"
        )
        return [StateColumn(a, partial, f"{pick}({{c}})", _SAME[pick])], f"{a}.v"
    if function == "last_row":
        row = ", ".join(f"x{i} := {argument(call, i)}" for i in range(len(call.arguments)))
        value = ", ".join(f"x{i} := {a}.x{i}" for i in range(len(call.arguments)))
        state = StateColumn(a, f"max(struct_pack({PLACE}, {row}))", "max({c})", _SAME["max"])
        return [state], f"struct_pack({value})"
    if function == "count_distinct":
        partial = f"list(distinct {x}) WHERE {x} is not null"
        state = StateColumn(a, partial, "list_distinct(flatten(list({c})))", _UNITED)
        return [state], f"coalesce(len({a}), 0)"
    if function == "list":
        partial = f"list(struct_pack({PLACE}, v := {x}))"
        final = f"list_transform(list_sort(nullif({a}, [])), lambda e: e.v)"
        return [StateColumn(a, partial, "flatten(list({c}))", _LONGER)], final
    if function in _FROM_VALUES:
        constants = "".join(f", {c}" for c in call.constants)
        partial = f"list({one_zero(x, call.arguments[0].type)}) WHERE {x} is not null"
        final = f"list_aggregate(nullif({a}, []), '{function}'{constants})"
        return [StateColumn(a, partial, "flatten(list({c}))", _LONGER)], final
    raise KeyError(f"no state is known for the aggregate {function}")
