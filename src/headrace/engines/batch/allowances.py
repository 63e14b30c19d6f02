"""How far apart two right answers may be, row by row, for results that hang on floats.

A floating aggregate depends on the order of adding, in proportion to the size of what is added
and not of the outcome (0.1 + 0.2 - 0.3 is 0 or 5.6e-17). So every floating aggregate gets a
*scale*; a result's allowance is its own relative tolerance and what it changes by when each of
its floating aggregates moves by the tolerance of its scale. An approximate quantile gets the
exact values at its declared rank error to either side.
"""

from __future__ import annotations

from collections.abc import Sequence

from headrace.engines.batch.relations import Chain
from headrace.engines.batch.tolerance import (
    RANK,
    RELATIVE,
    companion,
    is_floating,
    tolerance,
)
from headrace.plan.operators import AggregateCall, Named, View
from headrace.values.schema import quote

_SMALL = 100
"""Groups below this many values: any value between least and greatest is near enough."""


def scales(view: View, where: Sequence[str] = ()) -> list[str]:
    """Further aggregates beside the view's own: scales, and bounds of quantiles."""
    made = []
    for call in view.aggregates:
        wanted = [*where, *([f"_{call.id}_filter"] if call.filter is not None else [])]
        condition = f" filter (where {' and '.join(wanted)})" if wanted else ""
        x = f"_{call.id}_x0"
        if is_floating(call):
            made.append(f"{_scale(call, x, condition)} as _scale_{call.id}")
        if call.function == "approx_quantile":
            fraction = f"({call.constants[0]})::double"
            for side, edge, sign in (("low", "min", "-"), ("high", "max", "+")):
                at = f"least(greatest({fraction} {sign} {RANK}, 0), 1)"
                exact = f"quantile_disc({x}, {at}){condition}"
                few = f"count({x}){condition} < {_SMALL}"
                bound = f"case when {few} then {edge}({x}){condition} else {exact} end"
                made.append(f"{bound} as _{side}_{call.id}")
    return made


def add_allowances(view: View, chain: Chain) -> tuple[str, ...]:
    """Adds the companions `allowed` (of floats), `low` and `high` (of quantiles) of the results.

    Returns their names, quoted; reads the aggregates and what `scales` made beside them.
    """
    kinds = tolerance(view).columns
    floats = [r for r in view.results if kinds[r.name] == "float"]
    names = [quote(companion("allowed", r.name)) for r in floats]
    if floats:
        own = [
            f"{RELATIVE!r} * abs({_value(r)}) as {name}"
            for r, name in zip(floats, names, strict=True)
        ]
        chain.add(f"select *, {', '.join(own)} from {chain.name}")
    for call in view.aggregates:
        read = [r for r in floats if call.id in r.expression.columns]
        if is_floating(call) and read:
            _add_moved(call, read, chain)
    for result in view.results:
        if kinds[result.name] == "quantile":
            for side in ("low", "high"):
                name = quote(companion(side, result.name))
                bound = f"_{side}_{result.expression.columns[0]}"
                chain.add(f"select *, {bound} as {name} from {chain.name}")
                names.append(name)
    return tuple(names)


def _add_moved(call: AggregateCall, results: Sequence[Named], chain: Chain) -> None:
    """Widens the allowance of `results` by what they change by when `call` moves a little."""
    before = ", ".join(f"{_value(r)} as _before_{i}" for i, r in enumerate(results))
    chain.add(f"select *, {before}, {call.id} as _kept from {chain.name}")
    moved = f"{call.id} + {RELATIVE!r} * _scale_{call.id} as {call.id}"
    chain.add(f"select * replace ({moved}) from {chain.name}")
    wider = [f"_kept as {call.id}"]
    for i, result in enumerate(results):
        name = quote(companion("allowed", result.name))
        wider.append(f"{name} + coalesce(abs({_value(result)} - _before_{i}), 0) as {name}")
    gone = ", ".join(["_kept", *(f"_before_{i}" for i in range(len(results)))])
    chain.add(f"select * exclude ({gone}) replace ({', '.join(wider)}) from {chain.name}")


def _value(result: Named) -> str:
    return f"try(({result.expression.sql})::double)"


def _scale(call: AggregateCall, x: str, condition: str) -> str:
    """What moves by `RELATIVE`; infinite where finite values may add up to what no float holds."""
    size = f"abs({x}::double)"
    greatest = f"max({size}){condition}"
    match call.function:
        case "sum" | "avg":
            scale = f"{call.function}({size}){condition}"
        case "var_samp" | "var_pop":
            scale = f"{greatest} * {greatest}"
        case _:
            scale = greatest
    # What is not finite from the start is so in every order.
    return f"(case when isfinite({greatest}) then {scale} else 0 end)"
