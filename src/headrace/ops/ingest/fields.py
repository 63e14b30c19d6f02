"""SQL that writes one field of an event as JSON, as the event class wants it.

What does not fit is written as it is: the reader refuses the record and names the field. Nothing
is rounded, cut or guessed here.
"""

from __future__ import annotations

import re

from headrace.values.schema import DecimalType, Field, LiteralType, Scalar

_NUMBER = r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?"
_DATE_AND_TIME = r"[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:.*"
_RFC_3339 = "%Y-%m-%dT%H:%M:%S.%fZ"
_NO_NUMBER = "NaN|-?Infinity"
_FLOATS = ("FLOAT", "DOUBLE")
_ONLY_BEHIND = re.compile(r"\bDECIMAL\((\d+),\1\)")
"""Decimals without a digit before the point."""
_TIMESTAMPS = (
    "TIMESTAMP",
    "TIMESTAMP WITH TIME ZONE",
    "TIMESTAMP_S",
    "TIMESTAMP_MS",
    "TIMESTAMP_NS",
)


def json_of_text(text: str, field: Field | None) -> str:
    """The JSON of a text, an SQL expression of type VARCHAR, for `field` (None: undeclared)."""
    string = f"to_json({text})::varchar"
    match _kind(field):
        case "number":
            return _either(f"regexp_full_match({text}, '{_NUMBER}')", text, string)
        case "bool":
            return _either(f"lower({text}) in ('true', 'false')", f"lower({text})", string)
        case "datetime":
            instant = f"try_cast({text} AS timestamptz)"
            return _either(
                f"regexp_full_match({text}, '{_DATE_AND_TIME}') AND {instant} IS NOT NULL",
                _instant(instant),
                string,
            )
        case "nested":
            return _either(f"json_valid({text})", text, string)
    return string


def json_of_value(value: str, type_: str, field: Field | None) -> str:
    """The JSON of an SQL expression of DuckDB type `type_` for `field` (None: undeclared)."""
    kind = _kind(field)
    if type_ == "VARCHAR":
        return json_of_text(value, field)
    if type_ in _TIMESTAMPS or (type_ == "DATE" and kind == "datetime"):
        return _instant(f"({value})")
    if kind == "text":
        return f"to_json(({value})::varchar)::varchar"
    wider = _ONLY_BEHIND.sub(lambda m: f"DECIMAL({int(m[1]) + 1},{m[1]})", type_)
    if wider != type_:
        # JSON has a digit before each point. No type has room for that beside all 38 behind it.
        wider = wider.replace("DECIMAL(39,38)", "VARCHAR")
        text = f"to_json(cast({value} as {wider}))::varchar"
        alone = f"regexp_replace(({value})::varchar, '^(-?)[.]', '\\10.')"
        return _in_json(alone if wider == "VARCHAR" else text, wider)
    return _in_json(f"to_json({value})::varchar", type_)


def _in_json(text: str, type_: str) -> str:
    """`text`, what to_json writes, with NaN and infinity as texts: JSON has no such numbers."""
    if type_ in _FLOATS:
        return _either(f"{text} SIMILAR TO '{_NO_NUMBER}'", f"'\"' || {text} || '\"'", text)
    if not any(name in type_ for name in _FLOATS):
        return text
    said = f"regexp_replace({text}, '([:,\\[])({_NO_NUMBER})', '\\1\"\\2\"', 'g')"
    # Where a text within says the same, it is torn by this, and stays as it is.
    return _either(f"json_valid({said})", said, text)


def _kind(field: Field | None) -> str:
    if field is None:
        return "text"
    match field.type:
        case Scalar("int" | "float") | DecimalType():
            return "number"
        case Scalar("bool" | "datetime" as name):
            return name
        case LiteralType(values) if isinstance(values[0], int):
            return "number"
        case Scalar() | LiteralType():
            return "text"
    return "nested"


def _either(condition: str, then: str, otherwise: str) -> str:
    return f"CASE WHEN {condition} THEN {then} ELSE {otherwise} END"


def _instant(value: str) -> str:
    """A time as JSON; the session's time zone is UTC."""
    return f"'\"' || strftime({value}::timestamptz::timestamp, '{_RFC_3339}') || '\"'"
