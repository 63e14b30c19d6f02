"""Checks on the arguments of calls: texts, durations, numbers, expressions with names."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from headrace.language.location import caller
from headrace.language.names import column_name, is_path
from headrace.language.steps import Pairs
from headrace.values.durations import DURATION_US_MAX, duration_us
from headrace.values.errors import DefinitionError

Duration = str | timedelta


def expression(text: Any, what: str) -> str:
    """`text` if it is an SQL expression; what it means is found out when the plan is built."""
    if not isinstance(text, str) or not text.strip():
        raise DefinitionError(
            f"{what} takes an SQL expression as text, not {text!r}", where=caller()
        )
    return text


def duration(value: Any, what: str, *, zero: bool = False, most_us: int = DURATION_US_MAX) -> int:
    """Microseconds of a duration up to `most_us`, not negative, and not zero unless `zero`."""
    if not isinstance(value, str | timedelta):
        raise DefinitionError(
            f"{what} is a duration, not {value!r}",
            where=caller(),
            remedy='Write a number and its unit as text: "5 minutes".',
        )
    try:
        us = duration_us(value)
    except DefinitionError as error:
        raise DefinitionError(
            f"{what}: {error.what}", where=caller(), remedy=error.remedy
        ) from error
    if us < 0 or (us == 0 and not zero):
        least = "must not be negative" if zero else "must be longer than nothing"
        raise DefinitionError(f"{what} {least}: {value!r}", where=caller())
    if us > most_us:
        days = most_us // duration_us("1 day")
        raise DefinitionError(f"{what} is at most {days} days, not {value!r}", where=caller())
    return us


def whole(value: Any, what: str, *, least: int = 1, most: int | None = None) -> int:
    """`value` if it is an integer from `least` to `most`."""
    if type(value) is not int or value < least or (most is not None and value > most):
        upto = "" if most is None else f" and at most {most}"
        raise DefinitionError(
            f"{what} is a whole number of at least {least}{upto}, not {value!r}", where=caller()
        )
    return value


def pairs(columns: tuple[Any, ...], named: dict[str, Any], what: str) -> Pairs:
    """Columns or paths by name, then expressions under names, each name once."""
    where, found = caller(), []
    for column in columns:
        for text in (column,) if isinstance(column, str) else tuple(column):
            found.append((column_name(_path_name(text, what, where), where), text.strip()))
    for name, text in named.items():
        found.append((column_name(name, where), expression(text, f"{what}({name}=…)")))
    seen: set[str] = set()
    for name, _ in found:
        if name.lower() in seen:
            raise DefinitionError(
                f'{what}: two columns are called "{name}"; SQL does not tell case apart',
                where=where,
            )
        seen.add(name.lower())
    if not found:
        raise DefinitionError(f"{what} names no column", where=where)
    return tuple(found)


def _path_name(text: Any, what: str, where: str) -> str:
    if not isinstance(text, str) or not is_path(text):
        near = ""
        if isinstance(text, str) and "," in text and all(is_path(p) for p in text.split(",")):
            near = f"Write {what}({', '.join(repr(p.strip()) for p in text.split(','))})."
        raise DefinitionError(
            f"{what} needs a name for the expression {text!r}",
            where=where,
            remedy=near or f'Write {what}(name="expression"); only a column goes without a name.',
        )
    return text.strip().split(".")[-1]
