"""What a floating or approximate value decides: which rows and values are certain, which may be.

Where a condition on the result or a ranking reads such a value, all rows are candidates. The
aggregates that decide are moved to the ends of what they are allowed; a row is certain if it stays
whatever they are, and possible if a ranking may take it. Whether a condition takes a row that is
served, the served values themselves say. A column that they decide may have each of the values that
it has then.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Literal

from headrace.engines.batch.relations import Chain
from headrace.engines.batch.tolerance import RELATIVE, companion, is_floating, tolerance
from headrace.plan.operators import AggregateCall, Expression, Named, View
from headrace.values.schema import quote

MARKS = ("_own", "_sure", "_possible", "_ranked")
"""Columns of candidates: a row of the batch's own result; certain; possible; of a certain rank."""

_TOGETHER_MAX = 3
"""More aggregates than these are moved each by itself."""


def add_moved(view: View, chain: Chain) -> tuple[str, ...]:
    """Adds structs of the results that decide, one for each way in which aggregates are moved.

    Returns their names; reads the aggregates and what `allowances.scales` made beside them.
    """
    results = _deciding(view)
    return _add_moved(chain, results, _ways(_inexact(view, results)))


def add_decided(view: View, chain: Chain) -> tuple[str, ...]:
    """Adds the companions of results that are decided: `may`, a list of what they may be, and
    `open`, whether they may be anything else.

    Returns their names, quoted; reads what `add_moved` does.
    """
    kinds, types = tolerance(view).columns, {c.name: c.type for c in view.columns}
    results = [r for r in view.results if kinds[r.name] == "decided"]
    if not results:
        return ()
    calls = _inexact(view, results)
    ways = _ways(calls)
    rounded = {c.id: _rounded(c) for c in calls if is_floating(c)}
    if rounded:
        # A sum that is to be equal to some number may be a little beside it, or not.
        ways.append(rounded)
    moved = _add_moved(chain, results, ways)
    made = []
    for result in results:
        name, own = quote(result.name), f"try({result.expression.sql})"
        may = ", ".join(
            f"try_cast({value} as {types[result.name]})"
            for value in (own, *(f"{struct}.{name}" for struct in moved))
        )
        read = [c for c in calls if c.id in result.expression.columns]
        made.append(f"[{may}] as {quote(companion('may', result.name))}")
        made.append(f"({' or '.join(map(_open, read))}) as {quote(companion('open', result.name))}")
    chain.add(f"select * exclude ({', '.join(moved)}), {', '.join(made)} from {chain.name}")
    sides: tuple[Literal["may", "open"], ...] = ("may", "open")
    return tuple(quote(companion(side, r.name)) for r in results for side in sides)


def _inexact(view: View, results: Sequence[Named]) -> list[AggregateCall]:
    """The aggregates that are not exact and are read by `results`."""
    read = {c for r in results for c in r.expression.columns}
    return [c for c in view.aggregates if c.id in read and _ends(c)]


def _ways(calls: Sequence[AggregateCall]) -> list[dict[str, str]]:
    """How `calls` are moved: together to any of their ends, or each by itself if there are many."""
    if len(calls) > _TOGETHER_MAX:
        return [{c.id: end} for c in calls for end in _ends(c)]
    return [dict(zip((c.id for c in calls), w, strict=True)) for w in product(*map(_ends, calls))]


def _add_moved(
    chain: Chain, results: Sequence[Named], ways: Sequence[dict[str, str]]
) -> tuple[str, ...]:
    names = []
    for number, way in enumerate(ways):
        moved = ", ".join(f"{end} as {id_}" for id_, end in way.items())
        kept = ", ".join(f"{id_} := {id_}" for id_ in way)
        chain.add(f"select * replace ({moved}), struct_pack({kept}) as _kept from {chain.name}")
        back = ", ".join(f"_kept.{id_} as {id_}" for id_ in way)
        then = ", ".join(f"{quote(r.name)} := try({r.expression.sql})" for r in results)
        names.append(f"_moved_{number}")
        chain.add(
            f"select * exclude (_kept) replace ({back}), struct_pack({then}) as {names[-1]}"
            f" from {chain.name}"
        )
    return tuple(names)


def add_marks(
    view: View, chain: Chain, moved: Sequence[str], groups: Sequence[str], order: str
) -> None:
    """Adds MARKS, and `rank` where the view ranks, within `groups` and in that `order`."""
    chain.add(f"select *, {holds(view.having)} as _own from {chain.name}")
    results = [quote(r.name) for r in _deciding(view)]
    verdicts = []
    for number, struct in enumerate(moved):
        then = ", ".join(f"{struct}.{name} as {name}" for name in results)
        kept = ", ".join(f"{name} := {name}" for name in results)
        chain.add(f"select * replace ({then}), struct_pack({kept}) as _kept from {chain.name}")
        back = ", ".join(f"_kept.{name} as {name}" for name in results)
        verdicts.append(f"_verdict_{number}")
        chain.add(
            f"select * exclude (_kept) replace ({back}), {holds(view.having)} as {verdicts[-1]}"
            f" from {chain.name}"
        )
    sure, may = " and ".join(["_own", *verdicts]), " or ".join(["_own", *verdicts])
    chain.add(
        f"select *, {sure} as _sure, {may} as _may, true as _possible, true as _ranked"
        f" from {chain.name}"
    )
    if view.top is not None:
        _add_ranks(view, chain, moved, groups, order)


def holds(having: Expression | None) -> str:
    """The condition on a result, never null."""
    if having is None:
        return "true"
    return f"coalesce({'try' if having.can_fail else ''}({having.sql}), false)"


def _add_ranks(
    view: View, chain: Chain, moved: Sequence[str], groups: Sequence[str], order: str
) -> None:
    """A row is certain if it stands above all but the first so many that may be there, possible if
    it reaches the last place among those that are certain. Its rank is if those before it are
    certain and stand above it, and all that may be there behind it below."""
    assert view.top is not None
    by, count = quote(view.top.by), view.top.count

    def over(*more: str, order: str = "") -> str:
        by = f"partition by {', '.join([*groups, *more])} " if groups or more else ""
        return f"over ({by}{order})"

    kind = tolerance(view).columns[view.top.by]
    if kind == "exact":
        chain.add(
            f"select *, -row_number() {over(order=f'order by {order}')} as _low, _low as _high"
            f" from {chain.name}"
        )
    else:
        values = ", ".join([by, *(f"{struct}.{by}" for struct in moved)])
        wider = f" {{}} {RELATIVE!r} * abs({by})" if kind == "float" else ""
        low, high = (
            f"{f}({values}){wider.format(sign)}" for f, sign in (("least", "-"), ("greatest", "+"))
        )
        chain.add(f"select *, {low} as _low, {high} as _high from {chain.name}")
    ranked = [
        f"row_number() {over('_own', order=f'order by {order}')} as rank",
        f"row_number() {over('_sure', order='order by _low desc nulls last')} as _nth_low",
        f"row_number() {over('_may', order='order by _high desc nulls last')} as _nth_high",
    ]
    chain.add(f"select *, {', '.join(ranked)} from {chain.name}")
    last = f"max(_low) filter (where _sure and _nth_low = {count}) {over()} as _last"
    next_ = f"max(_high) filter (where _may and _nth_high = {count + 1}) {over()} as _next"
    chain.add(f"select *, {last}, {next_} from {chain.name}")
    rows = f"order by {order} rows between"
    before = over(order=f"{rows} unbounded preceding and 1 preceding")
    behind = over(order=f"{rows} 1 following and unbounded following")
    # Where one of two values is null, they are in the order of nulls.
    certain = (
        f"_own and coalesce(bool_and(_sure) filter (where _may) {before}, true) and "
        f"coalesce(min(_low) filter (where _may) {before} > _high, true) and "
        f"coalesce(max(_high) filter (where _may) {behind} < _low, true)"
    )
    chain.add(f"select * replace ({certain} as _ranked) from {chain.name}")
    own = f"_own and rank <= {count}"
    marks = [
        f"{own} as _own",
        f"{own} and _sure and (_next is null or coalesce(_low > _next, false)) as _sure",
        "_last is null or coalesce(_high >= _last, false) as _possible",
    ]
    chain.add(f"select * replace ({', '.join(marks)}) from {chain.name}")


def _deciding(view: View) -> list[Named]:
    """The results that are not exact and decide about rows."""
    read = set(view.having.columns if view.having is not None else ())
    if view.top is not None:
        read.add(view.top.by)
    kinds = tolerance(view).columns
    return [r for r in view.results if r.name in read and kinds[r.name] != "exact"]


def _ends(call: AggregateCall) -> list[str]:
    """The least and the greatest value that an aggregate may have; none for one that is exact."""
    if call.function == "approx_quantile":
        return [f"_low_{call.id}", f"_high_{call.id}"]
    if is_floating(call):
        return [f"{call.id} {sign} {RELATIVE!r} * _scale_{call.id}" for sign in "-+"]
    return []


def _rounded(call: AggregateCall) -> str:
    """A floating aggregate without the digits that hang on the order of adding."""
    digits = f"(10 - ceil(log10(nullif(_scale_{call.id}, 0))))::integer"
    return f"coalesce(try(round({call.id}, {digits})), {call.id})"


def _open(call: AggregateCall) -> str:
    """Condition: an aggregate may have values that tell nothing of what they decide.

    Between the ends of an approximate quantile a condition may hold that holds at neither.
    """
    if call.function == "approx_quantile":
        return f"_low_{call.id} is distinct from _high_{call.id}"
    return f"isinf(_scale_{call.id})"
