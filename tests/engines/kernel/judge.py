"""Which records are accepted, and with which values: the table of semantics, section 2, by hand."""

from __future__ import annotations

import json
import math
import re
import sys
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from typing import Any

from headrace.plan.operators import Source
from headrace.values.schema import (
    DecimalType,
    Field,
    ListType,
    LiteralType,
    Scalar,
    StructType,
    Type,
)

EPOCH = datetime(1970, 1, 1)
_RFC3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(\.\d+)?([Zz]|([+-])(\d\d):(\d\d))?",
    re.ASCII,
)


class Refused(Exception):
    """The record is a dead letter; `field` is the path of the first that does not fit, as `a.b`.

    None is the whole record; an element of a list has the path of its list.
    """

    field: str | None = None

    @classmethod
    def at(cls, field: str) -> Refused:
        refused = cls()
        refused.field = field
        return refused


class _Number(str):
    """A JSON number as it was written."""


def judge(source: Source, value: bytes | None, arrival: datetime) -> dict[str, Any]:
    """The event's columns; Refused when it is none. Times are naive UTC."""
    if value is None or len(value) > source.value_bytes_max:
        raise Refused
    record = _parsed(value)
    if not isinstance(record, dict):
        raise Refused
    unit = {source.time: source.time_unit} if source.time_unit else {}
    event = {f.name: _field(f, record, unit.get(f.name)) for f in source.schema.fields}
    if source.time is not None:
        time = time_at(source.time, event, source.time_unit)
        ahead = timedelta(microseconds=source.ahead_us_max)
        if time is None or not 101 <= time.year <= 9899 or time - arrival > ahead:
            raise Refused.at(source.time)
    return event


def time_at(path: str, event: dict[str, Any], unit: str | None) -> datetime | None:
    """The event time that stands at a path such as `info.created`; None where it is none."""
    found: Any = event
    for name in path.split("."):
        found = None if found is None else found[name]
    try:
        return _instant(found, unit) if unit is not None and isinstance(found, int) else found
    except Refused:
        return None


def _encoded(found: Any) -> bytes:
    """UnicodeEncodeError for half a surrogate pair: no text holds it, wherever it stands."""
    return json.dumps(found, ensure_ascii=False).encode()


def _parsed(value: bytes) -> Any:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        # Everywhere: an inner object with a key twice is no value that anybody declared.
        if len({k for k, _ in pairs}) == len(pairs):
            return dict(pairs)
        _encoded(pairs)
        return {"\0twice": True} | dict(pairs)

    def refuse(name: str) -> Any:
        raise Refused

    # As deep as a record may be; Python would end at a thousand.
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, 20_000))
    try:
        found = json.loads(
            value.decode("utf-8"),
            object_pairs_hook=once,
            parse_constant=refuse,
            parse_int=_Number,
            parse_float=_Number,
        )
        _encoded(found)
    except (ValueError, RecursionError):
        raise Refused from None
    finally:
        sys.setrecursionlimit(before)
    if isinstance(found, dict) and "\0twice" in found:
        raise Refused
    return found


def _field(field: Field, record: dict[str, Any], unit: str | None) -> Any:
    found = record.get(field.name)
    if found is None:
        if field.nullable:
            return None
        raise Refused.at(field.name)
    try:
        return _value(field.type, found, unit)
    except Refused as inner:
        raise Refused.at(f"{field.name}.{inner.field}" if inner.field else field.name) from None


def _value(type_: Type, found: Any, unit: str | None = None) -> Any:
    match type_:
        case Scalar("datetime") if unit is not None:
            return _instant(_whole(found), unit)
        case Scalar(name):
            return _SCALARS[name](found)
        case LiteralType(values):
            plain = _text(found) if isinstance(values[0], str) else _whole(found)
            if plain not in values:
                raise Refused
            return plain
        case DecimalType(precision, scale):
            return _decimal(found, precision, scale)
        case StructType(fields):
            if not isinstance(found, dict) or "\0twice" in found:
                raise Refused
            return {f.name: _field(f, found, None) for f in fields}
        case ListType(item, nullable):
            if not isinstance(found, list):
                raise Refused
            return [_element(item, nullable, element) for element in found]
    raise AssertionError(type_)


def _element(type_: Type, nullable: bool, found: Any) -> Any:
    if found is None:
        if nullable:
            return None
        raise Refused
    return _value(type_, found)


def _text(found: Any) -> str:
    if not isinstance(found, str) or isinstance(found, _Number) or "\0" in found:
        raise Refused
    try:
        found.encode("utf-8")
    except UnicodeEncodeError:
        raise Refused from None
    return found


def _whole(found: Any) -> int:
    if not isinstance(found, _Number):
        raise Refused
    if re.search(r"[eE][+-]?0*[1-9]\d{4}", found):
        raise Refused  # at most 9999 digits are counted, whatever the number is
    number = Fraction(found)
    if number.denominator > 1 or not -(2**63) <= number < 2**63:
        raise Refused
    return int(number)


def _float(found: Any) -> float:
    if not isinstance(found, _Number) or not math.isfinite(float(found)):
        raise Refused
    # A whole -0 is 0; only -0.0 has a sign.
    return float(int(found)) if found == "-0" else float(found)


def _bool(found: Any) -> bool:
    if not isinstance(found, bool):
        raise Refused
    return found


def _decimal(found: Any, precision: int, scale: int) -> Decimal:
    written = r"-?\d+(\.\d*)?([eE][+-]?\d{1,4})?"
    if not isinstance(found, str) or not re.fullmatch(written, found, re.ASCII):
        raise Refused
    number = Fraction(found)
    if (number * 10**scale).denominator > 1 or abs(number) >= 10 ** (precision - scale):
        raise Refused
    # Only a float has a zero with a sign.
    return Decimal(found) or Decimal(0)


def _date(found: Any) -> date:
    text = _text(found)
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", text, re.ASCII):
        raise Refused
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Refused from None


def _datetime(found: Any) -> datetime:
    matched = _RFC3339.fullmatch(_text(found))
    if matched is None:
        raise Refused
    year, month, day, hour, minute, second = (int(part) for part in matched.groups()[:6])
    micros = int(((matched[7] or ".0")[1:] + "000000")[:6])
    shift = timedelta()
    if matched[9]:
        if int(matched[10]) > 23 or int(matched[11]) > 59:
            raise Refused
        shift = timedelta(hours=int(matched[10]), minutes=int(matched[11]))
        shift = -shift if matched[9] == "-" else shift
    try:
        moment = datetime(year, month, day, hour, minute, second, micros, timezone(shift))
        return moment.astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError):
        raise Refused from None


def _instant(number: int, unit: str) -> datetime:
    try:
        return EPOCH + timedelta(microseconds=number * {"s": 10**6, "ms": 1000, "us": 1}[unit])
    except OverflowError:
        raise Refused from None


_SCALARS = {
    "str": _text,
    "int": _whole,
    "float": _float,
    "bool": _bool,
    "date": _date,
    "datetime": _datetime,
}
