"""What the reference takes in: events as a list, and the recorded decisions of a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

EPOCH = datetime(1970, 1, 1)

Values = dict[str, Any]
Functions = Mapping[str, Callable[[Values], Any]]
"""Python for every expression of a plan, by its SQL; raising anything means that it fails."""


@dataclass(frozen=True)
class Event:
    """An accepted record. `time_us` is the event time in microseconds since 1970, if any."""

    values: Mapping[str, Any]
    partition: int
    offset: int
    time_us: int | None
    epoch: int = 1
    replay: int | None = None
    generation: str = "g1"

    @property
    def record(self) -> tuple[str, int, int]:
        return self.generation, self.partition, self.offset


@dataclass(frozen=True)
class Recompute:
    """A recompute of what ends in (from_us, bound_us]; `offsets` by (generation, partition)."""

    from_us: int | None
    bound_us: int
    offsets: Mapping[tuple[str, int], int]
    epoch: int

    def read(self, event: Event) -> bool:
        if event.replay is not None:
            return event.epoch <= self.epoch
        return event.offset < self.offsets.get((event.generation, event.partition), 0)

    def covers(self, end_us: int) -> bool:
        return end_us <= self.bound_us and (self.from_us is None or end_us > self.from_us)


@dataclass(frozen=True)
class Run:
    """A log as it was run: events, the lateness, and the source's watermark when epochs began.

    Only events up to epoch `until` count; `watermark_us` is the source's watermark after it.
    """

    events: list[Event]
    lateness_us: int = 0
    starts_us: Mapping[int, int | None] = field(default_factory=dict)
    until: int = 1
    watermark_us: int | None = None
    recomputes: list[Recompute] = field(default_factory=list)


def moment(us: int) -> datetime:
    """A time in microseconds as DuckDB hands it to Python."""
    return EPOCH + timedelta(microseconds=us)


def microseconds(time: datetime) -> int:
    """The reverse of `moment`."""
    delta = time - EPOCH
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds
