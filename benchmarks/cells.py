"""What a cell of a table in the report says."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from typing import Any

from benchmarks.runs import Run


def met(holds: bool, goal: str) -> str:
    return f"{goal}: {'met' if holds else 'missed'}"


def middle(found: list[Run], key: str) -> float:
    return float(median(run[key] for run in found))


def peak(found: list[Run], key: str) -> float:
    return float(max(run[key] for run in found))


def cell(
    found: list[Run], key: str, show: Callable[[float], str], best: Callable[..., Any] = min
) -> str:
    values = [run[key] for run in found]
    if len(values) == 1:
        return show(values[0])
    return f"{show(best(values))} / {show(median(values))}"
