"""DuckDB types of expressions: what a column may have, and what the others become.

A column that leaves (a key, a result, a column of a stream) has a type that every destination
knows. Integers wider than 64 bits and unsigned ones become BIGINT (sums of integers are HUGEINT
inside, so that only the result can overflow), JSON, enums and UUIDs text, other timestamps
TIMESTAMP in UTC.
"""

from __future__ import annotations

from typing import Any

from headrace.values.schema import quote

_SETTLED = {
    **dict.fromkeys(
        ("hugeint", "uhugeint", "ubigint", "uinteger", "usmallint", "utinyint"), "BIGINT"
    ),
    **dict.fromkeys(("enum", "uuid"), "VARCHAR"),
    **dict.fromkeys(("timestamp_s", "timestamp_ms", "timestamp_ns"), "TIMESTAMP"),
}
_REFUSED = {
    "interval": "is an interval, which no destination knows; write date_diff(…) or epoch(…) of it",
    "time": "is a time of day, which no destination knows; write strftime(…) or cast it to varchar",
    "time with time zone": "is a time of day; write strftime(…) or cast it to varchar",
    "null": "is always null and has no type; write cast(null as varchar)",
    "bit": "is a bit string, which no destination knows; cast it to varchar",
    "bignum": "is a number without limit; cast it to decimal(38, 0) or double",
    "union": "is a union, which no destination knows; take one member with union_extract(…)",
    "variant": "is a variant, which no destination knows; cast it to the type it has",
    "geometry": "is a geometry, which no destination knows; write st_astext(…)",
}
_PLAIN = "boolean tinyint smallint integer bigint decimal float double varchar date timestamp"
_SCALARS = frozenset(_PLAIN.split())
INTEGERS = {"TINYINT": 3, "SMALLINT": 5, "INTEGER": 10, "BIGINT": 19, "HUGEINT": 39}
"""Signed integer types and the digits they may hold."""
FLOATS = frozenset(("FLOAT", "DOUBLE"))
TIMES = frozenset(("DATE", "TIMESTAMP"))
ZONED = "TIMESTAMP WITH TIME ZONE"


def refusal(type_: Any) -> str | None:
    """Why a column cannot have this type, as the end of a sentence; None if it can."""
    if type_.id in _REFUSED:
        return _REFUSED[type_.id]
    if str(type_) == '"NULL"':
        return _REFUSED["null"]
    for inner in _inner(type_):
        if str(inner) == ZONED:
            return "holds times with a zone; cast them to timestamp"
        words = refusal(inner)
        if words is not None:
            return f"holds a value that {words}"
    return None


def settled(type_: Any) -> str:
    """The type that a column of this type gets; see the top of this module."""
    if str(type_) == "JSON":
        return "VARCHAR"
    match type_.id:
        case "list" | "array":
            return f"{settled(type_.children[0][1])}[]"
        case "struct":
            if all(settled(t) == str(t) for _, t in type_.children):
                return str(type_)
            return f"STRUCT({', '.join(f'{quote(n)} {settled(t)}' for n, t in type_.children)})"
        case "map":
            key, value = (settled(t) for _, t in type_.children)
            return f"MAP({key}, {value})"
    if str(type_) == ZONED:
        return "TIMESTAMP"
    return _SETTLED.get(type_.id, str(type_))


def is_scalar(type_: Any) -> bool:
    """Whether a settled value of this type can be a key: not a list, struct, map or blob."""
    return settled(type_).partition("(")[0].lower() in _SCALARS


def as_key(sql: str, type_: str) -> str:
    """`sql` as a key: its values differ where every destination tells them apart, only there.

    -0.0 is equal to 0.0 but written otherwise, and JSON has null for all that is not finite.
    """
    if type_ not in FLOATS:
        return sql
    return f"CASE  WHEN (isfinite({sql})) THEN ({one_zero(sql, type_)}) ELSE NULL END"


def one_zero(sql: str, type_: str) -> str:
    """`sql` with -0.0 as 0.0, which it is equal to: which of the two is taken would be chance."""
    return f"({sql} + 0.0)" if type_ in FLOATS else sql


def is_list(type_: Any) -> bool:
    return bool(type_.id in ("list", "array"))


def fields(type_: Any) -> dict[str, Any] | None:
    """The fields of a struct by name; None for another type."""
    return dict(type_.children) if type_.id == "struct" else None


def _inner(type_: Any) -> list[Any]:
    if type_.id in ("list", "struct", "map"):
        return [inner for _, inner in type_.children]
    return [type_.children[0][1]] if type_.id == "array" else []
