"""What a job says while it runs: named events, each a frozen type, told to whoever listens.

The structured log writes each as one line of JSON on standard error; the live display and the
summary of `run` are fed by the same events. Field names end in their unit.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Literal

from headrace.values.clock import instant_text

Level = Literal["debug", "info", "warning", "error"]
_WORDS = re.compile(r"(?<!^)(?=[A-Z])")


@dataclass(frozen=True)
class Event:
    """Base of all telemetry; `job` is the job's id."""

    job: str

    level = "info"

    @property
    def name(self) -> str:
        """The type's name in snake case: `epoch_committed`."""
        return _WORDS.sub("_", type(self).__name__).lower()


@dataclass(frozen=True)
class JobStarted(Event):
    """A job holds its state and goes on from what was committed."""

    generation: int
    epoch: int
    incarnation: int


@dataclass(frozen=True)
class JobProgress(Event):
    """How far a running job is; told every few seconds."""

    epoch: int
    lag_records: int
    watermarks: dict[str, str | None]
    events_per_second: dict[str, float]


@dataclass(frozen=True)
class PartitionsAdded(Event):
    """A topic that the job reads has more partitions than before; they are read from now on."""

    topic: str
    partitions_before: int
    partitions: int


@dataclass(frozen=True)
class EpochCommitted(Event):
    """An epoch is on disk: `records` were read in it, `seconds` it took."""

    level = "debug"

    generation: int
    epoch: int
    records: int
    dead_lettered: int
    seconds: float
    lag_records: int


@dataclass(frozen=True)
class RecordsDeadLettered(Event):
    """Records that were not accepted, by reason, in one epoch."""

    level = "warning"

    epoch: int
    records: int
    reasons: dict[str, int]


@dataclass(frozen=True)
class DestinationDelivered(Event):
    """A destination has everything up to `epoch`."""

    level = "debug"

    destination: str
    epoch: int
    rows: int
    seconds: float


@dataclass(frozen=True)
class DestinationDown(Event):
    """A destination does not take its deliveries; the next try comes after `retry_seconds`."""

    level = "error"

    destination: str
    problem: str
    retry_seconds: float


@dataclass(frozen=True)
class DestinationBack(Event):
    """A destination takes its deliveries again, after so many seconds."""

    destination: str
    seconds: float


@dataclass(frozen=True)
class RecomputeWaits(Event):
    """`views` were built again and lack what came late; the next start tries to add it again."""

    level = "warning"

    views: list[str]
    problem: str


@dataclass(frozen=True)
class SourceDown(Event):
    """What the job reads does not answer; the next try comes after `retry_seconds`."""

    level = "error"

    problem: str
    retry_seconds: float


@dataclass(frozen=True)
class SourceBack(Event):
    """What the job reads answers again, after so many seconds."""

    seconds: float


@dataclass(frozen=True)
class TableFilling(Event):
    """A table is given all its rows anew, as of `epoch`.

    `had_epoch` is what it had of this generation; `reason` "lost" (it was restored, failed over or
    dropped), "rebuilt" (its view was) or "moved" (from the state or into it); `origin` says where
    the events come from.
    """

    level = "warning"

    destination: str
    had_epoch: int | None
    epoch: int
    reason: str
    origin: str


@dataclass(frozen=True)
class TableFilled(Event):
    """A table has all its rows as of `epoch`."""

    destination: str
    epoch: int
    rows: int
    seconds: float


@dataclass(frozen=True)
class JobStopped(Event):
    """A job ended; `reason` is "caught up", "asked to stop" or the problem."""

    reason: str
    epoch: int
    records: int
    seconds: float


Listener = Callable[[Event], None]


class JsonLines(logging.Formatter):
    """Formats what Headrace logs as one JSON object a line: time, level, event, its fields."""

    def format(self, record: logging.LogRecord) -> str:
        event = getattr(record, "event", None)
        line: dict[str, object] = {
            "time": instant_text(int(record.created * 1_000_000)),
            "level": record.levelname.lower(),
        }
        if isinstance(event, Event):
            line |= {"event": event.name} | asdict(event)
        else:
            line |= {"event": "message", "logger": record.name, "text": record.getMessage()}
        return json.dumps(line, ensure_ascii=False, default=str)


def log_event(event: Event) -> None:
    """The listener that hands an event to the standard library's logging, under `headrace`."""
    level = logging.getLevelNamesMapping()[event.level.upper()]
    logging.getLogger("headrace").log(level, event.name, extra={"event": event})
