"""Steps and watermarks, one event after another, in the order of the log."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from headrace.plan.operators import Dedupe, Explode, Expression, Filter, Project, Step
from tests.reference.events import Event, Functions, Run, Values


@dataclass(frozen=True)
class Row:
    """A row on its way. `seen_us` is what its record saw, `closed_us` what closed its slices.

    `verdict` is None as long as it goes on; `reason` names the filter that dropped it, or is the
    text of the expression that failed.
    """

    event: Event
    values: Values
    seen_us: int | None
    closed_us: int | None
    position: tuple[int, ...] = ()
    verdict: str | None = None
    reason: str | None = None

    @property
    def place(self) -> tuple[Any, ...]:
        """The order of semantics; generations of a topic are named in the order of reading."""
        event = self.event
        return (
            event.time_us or 0,
            event.generation,
            event.partition,
            event.offset,
            self.position,
        )


def walk(steps: tuple[Step, ...], run: Run, functions: Functions) -> list[Row]:
    """Every row that the steps make of the run, dropped ones with their verdict."""
    dropped: list[Row] = []
    rows = _begin(run)
    for step in steps:
        after: list[Row] = []
        memory: dict[Any, list[int | None]] = {}
        for row in rows:
            for made in _apply(step, row, functions, memory):
                (after if made.verdict is None else dropped).append(made)
        rows = after
    return dropped + rows


def failed(row: Row, expression: Expression) -> Row:
    """The row, on which the expression could not be computed."""
    return replace(row, verdict="failed", reason=expression.text)


def value(functions: Functions, sql: str, values: Values) -> tuple[bool, Any]:
    """(whether the expression worked, its value)."""
    function = functions[sql]
    try:
        return True, function(values)
    except Exception:
        return False, None


def _begin(run: Run) -> list[Row]:
    """Events in the order in which they were read, each with the watermark it saw."""
    read = sorted(
        (e for e in run.events if e.epoch <= run.until),
        key=lambda e: (e.epoch, e.replay is not None, e.replay or 0, e.offset),
    )
    greatest: dict[tuple[str, int], int] = {}
    rows = []
    for event in read:
        partition = event.generation, event.partition
        seen = greatest[partition] - run.lateness_us if partition in greatest else None
        bounds = [b for b in (seen, run.starts_us.get(event.epoch)) if b is not None]
        rows.append(Row(event, dict(event.values), seen, max(bounds, default=None)))
        if event.replay is None and event.time_us is not None:
            greatest[partition] = max(greatest.get(partition, event.time_us), event.time_us)
    return rows


def _apply(
    step: Step, row: Row, functions: Functions, memory: dict[Any, list[int | None]]
) -> list[Row]:
    match step:
        case Filter(condition, reason):
            worked, passed = value(functions, condition.sql, row.values)
            if not worked:
                return [failed(row, condition)]
            return [row if passed else replace(row, verdict="filtered", reason=reason)]
        case Project(columns):
            made = {
                # The time of the epoch is nobody's to know beforehand.
                c.name: (True, None)
                if c.expression.changes_with_run
                else value(functions, c.expression.sql, row.values)
                for c in columns
            }
            for column in columns:
                if not made[column.name][0]:
                    return [failed(row, column.expression)]
            return [replace(row, values={name: v for name, (_, v) in made.items()})]
        case Explode(values, name):
            worked, items = value(functions, values.sql, row.values)
            if not worked:
                return [failed(row, values)]
            if not items:
                return [replace(row, verdict="filtered")]
            return [
                replace(row, values={**row.values, name: item}, position=(*row.position, i))
                for i, item in enumerate(items)
            ]
        case Dedupe(by, within_us):
            compared = [value(functions, e.sql, row.values) for e in by]
            for expression, (worked, _) in zip(by, compared, strict=True):
                if not worked:
                    return [failed(row, expression)]
            identity = (row.event.generation, row.event.partition, *(v for _, v in compared))
            before = memory.setdefault(identity, [])
            duplicate = any(_near(time, row.seen_us, within_us) for time in before)
            before.append(row.event.time_us)
            return [replace(row, verdict="duplicate") if duplicate else row]
    raise AssertionError(step)


def _near(time_us: int | None, seen_us: int | None, within_us: int | None) -> bool:
    if within_us is None or seen_us is None:
        return True
    assert time_us is not None
    return time_us >= seen_us - within_us
