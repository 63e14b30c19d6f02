"""Views written as plans by hand, with the same expressions as Python for the reference."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from headrace.plan.operators import (
    AggregateCall,
    Column,
    Expression,
    Named,
    SessionGap,
    SessionMarks,
    Slide,
    Step,
    Top,
    Tumble,
    View,
    Window,
)
from tests.engines.batch.logs import SECOND


@dataclass
class Python:
    """Expressions met so far, by their SQL."""

    functions: dict[str, Callable[[dict[str, Any]], Any]] = field(default_factory=dict)

    def __call__(
        self,
        sql: str,
        type_: str,
        function: Callable[[dict[str, Any]], Any],
        can_fail: bool = False,
        columns: tuple[str, ...] = (),
    ) -> Expression:
        self.functions[sql] = function
        return Expression(sql, sql, type_, columns, can_fail)

    def column(self, name: str, type_: str) -> Expression:
        return self(name, type_, lambda row: row[name], columns=(name,))


def call(
    id_: str,
    function: str,
    type_: str,
    *arguments: Expression,
    distinct: bool = False,
    where: Expression | None = None,
    constants: tuple[str, ...] = (),
) -> AggregateCall:
    """An aggregate with short spelling."""
    return AggregateCall(id_, function, arguments, type_, distinct, where, constants)


WINDOWS: dict[str, Callable[[Python], Window | None]] = {
    "totals": lambda e: None,
    "tumble": lambda e: Tumble(10 * SECOND),
    "tumble_offset": lambda e: Tumble(7 * SECOND, 3 * SECOND),
    "slide": lambda e: Slide(10 * SECOND, 4 * SECOND, 1 * SECOND),
    "slide_even": lambda e: Slide(15 * SECOND, 5 * SECOND),
    "gap": lambda e: SessionGap(5 * SECOND),
    "marks": lambda e: SessionMarks(
        e("mark in ('s', 'se')", "BOOLEAN", lambda r: r["mark"] in ("s", "se")),
        e("mark in ('e', 'se')", "BOOLEAN", lambda r: r["mark"] in ("e", "se")),
        8 * SECOND,
    ),
    "marks_without_ends": lambda e: SessionMarks(
        e("n > 0", "BOOLEAN", lambda r: r["n"] is not None and r["n"] > 0), None, 8 * SECOND
    ),
}

_OF_WINDOW = (Column("window_start", "TIMESTAMP", True), Column("window_end", "TIMESTAMP"))
_OF_SESSION = (
    Column("session_start_time", "TIMESTAMP", True),
    Column("session_end_time", "TIMESTAMP"),
    Column("session_duration_seconds", "DOUBLE"),
    Column("ended_by", "VARCHAR"),
)


def view(
    window: Window | None,
    keys: tuple[Named, ...],
    aggregates: tuple[AggregateCall, ...],
    *,
    steps: tuple[Step, ...] = (),
    results: tuple[Named, ...] | None = None,
    having: Expression | None = None,
    top: Top | None = None,
) -> View:
    """A view with its columns worked out; without `results` they are the aggregates themselves."""
    if results is None:
        results = tuple(
            Named(f"r_{c.id}", Expression(c.id, c.id, c.type, (c.id,))) for c in aggregates
        )
    columns: tuple[Column, ...] = ()
    if isinstance(window, Tumble | Slide):
        columns = _OF_WINDOW
    elif window is not None:
        columns = _OF_SESSION
    columns += tuple(Column(k.name, k.expression.type, True) for k in keys)
    columns += tuple(Column(r.name, r.expression.type) for r in results)
    columns += (Column("rank", "BIGINT"),) if top else ()
    return View(
        "v", "readings", steps, window, keys, aggregates, results, having, top, columns, "f"
    )


def with_ids(python: Python, made: View) -> View:
    """The same view; its aggregates' ids become known to the reference as expressions."""
    for aggregate in made.aggregates:
        python.column(aggregate.id, aggregate.type)
    return made
