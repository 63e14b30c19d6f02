"""Time as a value that is handed in, so that a test can bring its own.

Everywhere inside, an instant is whole microseconds since 1970-01-01 UTC.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

EPOCH = datetime(1970, 1, 1)


class Clock(Protocol):
    """Says what time it is."""

    def now_us(self) -> int:
        """Microseconds since 1970-01-01 UTC."""


class SystemClock:
    """The machine's clock."""

    def now_us(self) -> int:
        return time.time_ns() // 1_000


class ManualClock:
    """A clock that stands until it is moved: for tests."""

    def __init__(self, start: datetime | int = 0) -> None:
        self._now_us = start if isinstance(start, int) else instant_us(start)

    def now_us(self) -> int:
        return self._now_us

    def advance(self, by: timedelta) -> None:
        """Moves on by `by`; a negative step is a clock set back."""
        self._now_us += by // timedelta(microseconds=1)


def instant_us(moment: datetime) -> int:
    """Microseconds of `moment`; one without a zone is UTC."""
    if moment.tzinfo is not None:
        moment = moment.astimezone(UTC).replace(tzinfo=None)
    return (moment - EPOCH) // timedelta(microseconds=1)


FIRST_EVENT_US = instant_us(datetime(101, 1, 1))
"""The first event time that is accepted: the longest window over it begins in the year 1."""

LAST_EVENT_US = instant_us(datetime(9900, 1, 1)) - 1
"""The last event time that is accepted: the longest window over it ends in the year 9999."""


def instant(us: int) -> datetime:
    """The naive UTC datetime of `us` microseconds."""
    return EPOCH + timedelta(microseconds=us)


def instant_text(us: int) -> str:
    """ISO 8601 with a Z, without trailing zeros of the fraction.

    >>> instant_text(1_500_000)
    '1970-01-01T00:00:01.5Z'
    """
    text = instant(us).isoformat()
    return (text.rstrip("0") if "." in text else text) + "Z"
