"""Durations: text such as "2 minutes" to microseconds, and back.

Only units of fixed length are known (no months, no years): a window must have one length.
"""

from __future__ import annotations

import re
from datetime import timedelta

from headrace.values.errors import DefinitionError

_UNITS_US = {
    "microsecond": 1,
    "us": 1,
    "millisecond": 1_000,
    "ms": 1_000,
    "second": 1_000_000,
    "sec": 1_000_000,
    "s": 1_000_000,
    "minute": 60_000_000,
    "min": 60_000_000,
    "m": 60_000_000,
    "hour": 3_600_000_000,
    "h": 3_600_000_000,
    "day": 86_400_000_000,
    "d": 86_400_000_000,
    "week": 604_800_000_000,
    "w": 604_800_000_000,
}
DURATION_US_MAX = 36_500 * _UNITS_US["day"]
"""No window, lateness or gap is longer: the years on either side of event times hold it."""

_PART = re.compile(r"\s*(\d+)\s*([a-z]+)\s*")


def duration_us(text: str | timedelta) -> int:
    """Microseconds of a duration: "90 seconds", "1h 30m", or a timedelta; 0 is allowed.

    Raises DefinitionError for anything else.
    """
    if isinstance(text, timedelta):
        return text // timedelta(microseconds=1)
    total, rest = 0, text.strip().lower()
    if rest == "0":
        return 0
    if not rest:
        raise _refused(text)
    while rest:
        part = _PART.match(rest)
        if part is None:
            raise _refused(text)
        unit = part[2] if part[2] in _UNITS_US else part[2].removesuffix("s")
        if unit not in _UNITS_US:
            raise _refused(text)
        total += int(part[1]) * _UNITS_US[unit]
        rest = rest[part.end() :]
    return total


def duration_text(us: int) -> str:
    """The shortest exact text of a duration in microseconds: 120000000 is "2 minutes"."""
    for unit in ("week", "day", "hour", "minute", "second", "millisecond", "microsecond"):
        size = _UNITS_US[unit]
        if us and us % size == 0:
            count = us // size
            return f"{count} {unit}" + ("s" if count != 1 else "")
    return "0 seconds"


def _refused(text: object) -> DefinitionError:
    return DefinitionError(
        f"{text!r} is not a duration",
        remedy='Write a number and a unit of fixed length: "90 seconds", "5 minutes", "1 hour", '
        '"1 day", "1 week".',
    )
