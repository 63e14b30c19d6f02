"""`partial` and `merge`: rows to aggregate states by key and slice, and states to one state.

Merging is the same aggregate whether it joins two epochs, panes to a window, or partitions on a
cluster, so nothing depends on the order in which states meet.
"""

from __future__ import annotations

from collections.abc import Sequence

from headrace.engines.kernel.aggregates import StateColumn, aggregate_state
from headrace.plan.operators import View


def key_names(view: View) -> list[str]:
    """The short names of a view's keys in states: k0, k1, …"""
    return [f"k{i}" for i in range(len(view.keys))]


def state_columns(view: View) -> list[StateColumn]:
    """All state columns of all aggregates of a view, in order."""
    return [c for call in view.aggregates for c in aggregate_state(call).columns]


def partial_sql(view: View, placed: str) -> str:
    """States by verdict, slice and key over a relation of placed rows; `_n` counts each one's.

    Rows that were not applied meet in one row per verdict: the counters come from the same pass.
    """
    groups = [f"case when _verdict = 0 then {c} end as {c}" for c in ("_slice", *key_names(view))]
    return _grouped(view, ["_verdict", *groups], placed, first=1)


def applied_partial_sql(view: View, kept: str) -> str:
    """The same over a relation of rows that are all applied: half the work."""
    return _grouped(view, ["0 as _verdict", "_slice", *key_names(view)], kept, first=2)


def _grouped(view: View, groups: Sequence[str], rows: str, *, first: int) -> str:
    """Groups by those of `groups` (all of the columns before the counts) from `first` on."""
    states = [f"{c.partial} as {c.name}" for c in state_columns(view)]
    chosen = ", ".join([*groups, "count(*) as _n", *states])
    by = ", ".join(str(i) for i in range(first, len(groups) + 1))
    return f"select {chosen} from {rows} group by {by}"


def applied_sql(view: View, partial: str) -> str:
    """The states among the rows of `partial`: what is left without verdict and count."""
    names = ["_slice", *key_names(view), *(c.name for c in state_columns(view))]
    return f"select {', '.join(names)} from {partial} where _verdict = 0"


def merge_sql(view: View, states: str, by: Sequence[str] | None = None) -> str:
    """One state per group over a relation of states; groups are slice and keys, or `by`."""
    groups = list(by) if by is not None else ["_slice", *key_names(view)]
    merged = [f"{c.merge} as {c.name}" for c in state_columns(view)]
    tail = f" group by {', '.join(groups)}" if groups else ""
    return f"select {', '.join(groups + merged)} from {states}{tail}"


def matches(left: str, right: str, names: Sequence[str]) -> str:
    """Join condition on `names`, null equal to null."""
    return " and ".join(f"{left}.{n} is not distinct from {right}.{n}" for n in names) or "true"


def merge_into_sql(view: View, partial: str, state: str) -> str:
    """Statement that joins the states of `partial` to those that `state` holds."""
    names, columns = ["_slice", *key_names(view)], state_columns(view)
    joined = [f"{c.name} = {c.joined.format(a=f's.{c.name}', b=f'm.{c.name}')}" for c in columns]
    values = ", ".join(f"m.{n}" for n in [*names, *(c.name for c in columns)])
    return (
        f"merge into {state} s using ({applied_sql(view, partial)}) m "
        f"on {matches('s', 'm', names)} when matched then update set {', '.join(joined)} "
        f"when not matched then insert values ({values})"
    )


def result_name(number: int) -> str:
    """The column of the view's result of that number: its own name may be that of a key here."""
    return f"_r{number}"


def finals_sql(view: View, states: str, identity: Sequence[str]) -> str:
    """Results over states: `identity` columns pass, then each as `result_name`, and `_failed`.

    A result that raises is null, and `_failed` says how many did.
    """
    finals = [f"{aggregate_state(c).final} as {c.id}" for c in view.aggregates]
    safe, failed = [], []
    for number, result in enumerate(view.results):
        expression, name = result.expression, result_name(number)
        if expression.can_fail:
            safe.append(f"try({expression.sql}) as {name}")
            failed.append(f"(try(struct_pack(v := ({expression.sql}))) is null)::int")
        else:
            safe.append(f"({expression.sql}) as {name}")
    raised = " + ".join(failed) or "0"
    passed = list(identity)
    inner = f"select {', '.join(passed + finals)} from {states}"
    return f"select {', '.join([*passed, *safe, f'{raised} as _failed'])} from ({inner})"
