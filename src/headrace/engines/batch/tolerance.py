"""How closely each column of a view must agree between two ways of computing it, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from headrace.plan.operators import AggregateCall, Expression, View

Kind = Literal["exact", "float", "quantile", "decided", "rank"]

RELATIVE = 1e-9
"""Greatest relative difference of floating results."""

RANK = 0.04
"""Greatest error of an approximate quantile, as a share of the values.

Of values that all differ it stays below 0.01. Where many are alike it is greater beside a gap
between them, once states were merged: 0.029 at most among 100,000 logs made to have it great.
"""

_MOMENTS = {"avg", "stddev_samp", "stddev_pop", "var_samp", "var_pop"}
_FLOATS = {"DOUBLE", "FLOAT"}


@dataclass(frozen=True)
class Tolerance:
    """The kind of every column by name, and whether rows themselves hang on inexact values.

    exact: equal, bit by bit. float: within `RELATIVE`. quantile: an approximate quantile, within
    `RANK`. decided: decided by one of these but not one itself (a condition, a rounded quantile),
    so one of the values that it may be. rank: by such a value. `rows`: a condition on the result,
    or a ranking, reads a column that is not exact, so rows may come and go.
    """

    columns: dict[str, Kind]
    rows: bool

    @property
    def exact(self) -> bool:
        """Whether everything must be equal."""
        return not self.rows and all(kind == "exact" for kind in self.columns.values())


def tolerance(view: View) -> Tolerance:
    """What `view` promises of each column."""
    calls = {call.id: _of_call(call) for call in view.aggregates}
    columns: dict[str, Kind] = {c.name: "exact" for c in view.columns}
    for result in view.results:
        columns[result.name] = _of_result(result.expression, calls)
    rows = False
    if view.having is not None:
        rows = any(columns.get(c, "exact") != "exact" for c in view.having.columns)
    if view.top is not None and columns[view.top.by] != "exact":
        rows = True
    if view.top is not None and rows:
        columns["rank"] = "rank"
    return Tolerance(columns, rows)


def is_floating(call: AggregateCall) -> bool:
    """Whether the value of `call` depends on the order in which floats are added."""
    return call.function in _MOMENTS or (call.function == "sum" and call.type in _FLOATS)


def _of_call(call: AggregateCall) -> Kind:
    if call.function == "approx_quantile":
        return "quantile"
    return "float" if is_floating(call) else "exact"


def _of_result(expression: Expression, calls: dict[str, Kind]) -> Kind:
    kinds = {calls.get(c, "exact") for c in expression.columns}
    if "quantile" in kinds:
        return "quantile" if expression.sql == expression.columns[0] else "decided"
    if "float" not in kinds:
        return "exact"
    return "float" if expression.type in _FLOATS else "decided"


def companion(role: Literal["allowed", "low", "high", "may", "open"], column: str) -> str:
    """The name of the column of `expected` that says how far `column` may be from right."""
    return f"_{role}_{column}"
