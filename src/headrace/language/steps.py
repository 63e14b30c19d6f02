"""What users wrote, as data: unbound steps, windows and outputs. The plan binds them.

Every part remembers in `where` the file and line of the call that made it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from headrace.values.schema import Schema

Emit = Literal["changes", "final"]
Role = Literal["table", "lake", "topic", "index", "ranking", "wide_table"]
Pairs = tuple[tuple[str, str], ...]  # names of columns with their expressions


@dataclass(frozen=True)
class SourceSpec:
    """A topic read as events of one class, as `source` was called. Durations in microseconds."""

    topic: str
    schema: Schema
    checks: Pairs
    key: str | None
    time: str | None
    time_unit: Literal["s", "ms", "us"] | None
    lateness_us: int
    partitions: int
    idle_timeout_us: int | None
    ahead_us: int
    value_bytes_max: int
    where: str


@dataclass(frozen=True)
class WhereStep:
    condition: str
    reason: str | None
    where: str


@dataclass(frozen=True)
class SelectStep:
    """`columns` replace the row (`keeps=False`) or are added to it (`keeps=True`)."""

    columns: Pairs
    keeps: bool
    where: str


@dataclass(frozen=True)
class ExplodeStep:
    values: str
    name: str
    where: str


@dataclass(frozen=True)
class DedupeStep:
    by: tuple[str, ...]
    within_us: int | None
    where: str


StepSpec = WhereStep | SelectStep | ExplodeStep | DedupeStep


@dataclass(frozen=True)
class TumbleSpec:
    size_us: int
    offset_us: int
    where: str


@dataclass(frozen=True)
class SlideSpec:
    size_us: int
    every_us: int
    offset_us: int
    where: str


@dataclass(frozen=True)
class GapSpec:
    gap_us: int
    where: str


@dataclass(frozen=True)
class MarksSpec:
    starts: str
    ends: str | None
    timeout_us: int
    where: str


WindowSpec = TumbleSpec | SlideSpec | GapSpec | MarksSpec


@dataclass(frozen=True)
class TopSpec:
    count: int
    by: str
    per: tuple[str, ...]
    where: str
