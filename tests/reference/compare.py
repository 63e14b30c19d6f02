"""Rows as they are against rows as they ought to be, each column within what is declared."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

RELATIVE = 1e-9
"""How far floating results may be apart: what is declared."""


@dataclass(frozen=True)
class Between:
    """A value is right that is neither below `low` nor above `high`."""

    low: float
    high: float


def near(value: float, scale: float) -> Between:
    """About `value`; `scale` is the size of what was added up."""
    allowed = RELATIVE * max(abs(value), scale)
    return Between(value - allowed, value + allowed)


def same_rows(
    found: Sequence[Mapping[str, Any]],
    wanted: Sequence[Mapping[str, Any]],
    key: Sequence[str],
    what: str,
) -> None:
    """Asserts that both hold the same rows; `key` are columns that identify one (all: ())."""
    left, right = _ordered(found, key), _ordered(wanted, key)
    if len(left) == len(right) and all(map(same_row, left, right)):
        return
    # Numbers that are the same are not always written the same, nor put in order the same.
    surplus, missing = [], list(right)
    for row in left:
        place = next((i for i, other in enumerate(missing) if same_row(row, other)), None)
        if place is None:
            surplus.append(row)
        else:
            del missing[place]
    if not surplus and not missing:
        return
    raise AssertionError(
        f"{what}: {len(left)} rows instead of {len(right)}; "
        f"not wanted: {surplus[:3]}, missing: {missing[:3]}"
    )


def _ordered(rows: Sequence[Mapping[str, Any]], key: Sequence[str]) -> list[Mapping[str, Any]]:
    if key:
        return sorted(rows, key=lambda row: repr([row[k] for k in key]))
    return sorted(rows, key=lambda row: repr(sorted(row.items())))


def same_row(found: Any, wanted: Any) -> bool:
    """Whether a row, or any value, is as it ought to be."""
    if isinstance(wanted, Between):
        return found is not None and wanted.low <= found <= wanted.high
    if isinstance(wanted, Mapping):
        return (
            isinstance(found, Mapping)
            and found.keys() == wanted.keys()
            and all(same_row(found[k], v) for k, v in wanted.items())
        )
    if isinstance(wanted, list):
        return (
            isinstance(found, list)
            and len(found) == len(wanted)
            and all(same_row(f, w) for f, w in zip(found, wanted, strict=True))
        )
    if isinstance(wanted, float) and isinstance(found, float):
        return math.isclose(found, wanted, rel_tol=RELATIVE)
    if isinstance(wanted, bool) or isinstance(found, bool):
        return found is wanted
    return bool(found == wanted)
