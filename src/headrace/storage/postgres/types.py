"""How each DuckDB type stands in PostgreSQL: its column, what may hold it, how it travels.

A value travels in the `wire` type, for which there is a binary form made of whole columns
(`encode.py`, `decode.py`); where that is `text`, PostgreSQL casts it to the column's type.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from headrace.values.errors import DefinitionError

Wire = Literal[
    "boolean",
    "smallint",
    "integer",
    "bigint",
    "real",
    "double precision",
    "text",
    "bytea",
    "date",
    "time without time zone",
    "timestamp with time zone",
]

# Element types inside binary arrays (pg_type.dat; fixed for ever).
OIDS: dict[Wire, int] = {
    "boolean": 16,
    "bytea": 17,
    "bigint": 20,
    "smallint": 21,
    "integer": 23,
    "text": 25,
    "real": 700,
    "double precision": 701,
    "date": 1082,
    "time without time zone": 1083,
    "timestamp with time zone": 1184,
}


@dataclass(frozen=True)
class Kind:
    """One column's type: `column` is made for it, the types of `holds` can hold every value.

    `json` marks what is written as JSON and kept as jsonb; `array` a list of `wire` values.
    """

    column: str
    wire: Wire
    holds: tuple[str, ...] = ()
    array: bool = False
    json: bool = False

    @property
    def staged(self) -> str:
        """The type of the staging column."""
        return f"{self.wire}[]" if self.array else self.wire

    @property
    def cast(self) -> str:
        """What follows a staged value where it does not become the column's by itself."""
        return "" if self.column in (self.staged, "text") else f"::{self.column}"

    def fits(self, type_: str) -> bool:
        """Whether a column of `type_` (as `format_type` writes it) can hold all of this kind."""
        if type_ in (self.column, *self.holds):
            return True
        mine, theirs = _numeric(self.column), _numeric(type_)
        if mine is None or theirs is None:
            return bool(self.column == "text" and re.fullmatch(r"character varying\(\d+\)", type_))
        if type_ in _DIGITS:
            return False  # those that can are in `holds`
        return theirs[1] >= mine[1] and theirs[0] - theirs[1] >= mine[0] - mine[1]


_DIGITS = {"smallint": (5, 0), "integer": (10, 0), "bigint": (19, 0)}


def _numeric(type_: str) -> tuple[int, int] | None:
    """Digits in all and behind the point; None for what is no exact number."""
    if type_ in _DIGITS:
        return _DIGITS[type_]
    found = re.fullmatch(r"numeric\((\d+),(\d+)\)", type_)
    return (int(found[1]), int(found[2])) if found else None


_WHOLE = ("smallint", "integer", "bigint", "numeric")
_TIMES = ("timestamp with time zone", "timestamp without time zone")

_KINDS: dict[str, Kind] = {
    "BOOLEAN": Kind("boolean", "boolean"),
    "TINYINT": Kind("smallint", "smallint", _WHOLE[1:]),
    "UTINYINT": Kind("smallint", "smallint", _WHOLE[1:]),
    "SMALLINT": Kind("smallint", "smallint", _WHOLE[1:]),
    "USMALLINT": Kind("integer", "integer", _WHOLE[2:]),
    "INTEGER": Kind("integer", "integer", _WHOLE[2:]),
    "UINTEGER": Kind("bigint", "bigint", _WHOLE[3:]),
    "BIGINT": Kind("bigint", "bigint", _WHOLE[3:]),
    "UBIGINT": Kind("numeric(20,0)", "text", ("numeric",)),
    "HUGEINT": Kind("numeric(39,0)", "text", ("numeric",)),
    "UHUGEINT": Kind("numeric(39,0)", "text", ("numeric",)),
    "FLOAT": Kind("real", "real", ("double precision",)),
    "DOUBLE": Kind("double precision", "double precision"),
    "VARCHAR": Kind("text", "text", ("character varying",)),
    "UUID": Kind("uuid", "text", ("text", "character varying")),
    "BLOB": Kind("bytea", "bytea"),
    "DATE": Kind("date", "date"),
    "TIME": Kind("time without time zone", "time without time zone"),
    "INTERVAL": Kind("interval", "text"),
    "JSON": Kind("jsonb", "text"),
    **{
        name: Kind("timestamp with time zone", "timestamp with time zone", _TIMES)
        for name in (
            "TIMESTAMP",
            "TIMESTAMP_S",
            "TIMESTAMP_MS",
            "TIMESTAMP WITH TIME ZONE",
        )
    },
}


def kind_of(name: str, type_: str) -> Kind:
    """How the column `name` of the DuckDB type `type_` stands in PostgreSQL.

    >>> kind_of("tags", "VARCHAR[]").column
    'text[]'

    Raises DefinitionError for a type that has no place there.
    """
    if type_ in _KINDS:
        return _KINDS[type_]
    if found := re.fullmatch(r"DECIMAL\((\d+),\s*(\d+)\)", type_):
        return Kind(f"numeric({found[1]},{found[2]})", "text", ("numeric",))
    if type_.startswith("ENUM("):
        return _KINDS["VARCHAR"]
    if found := re.fullmatch(r"(.*)\[\d*\]", type_, re.DOTALL):
        item = _KINDS["JSON"] if _nested(found[1]) else kind_of(name, found[1])
        if item.column == "jsonb":
            return Kind("jsonb", "text", json=True)
        if item.wire != "bytea":  # in a list, bytes would be read back as text
            holds = tuple(f"{one}[]" for one in item.holds)
            return Kind(f"{item.column}[]", item.wire, holds, array=True)
    elif _nested(type_):
        return Kind("jsonb", "text", json=True)
    raise DefinitionError(
        f'Column "{name}" has the type {type_}, which a table in PostgreSQL cannot hold',
        remedy=f'Cast it in the view: {name}="(…)::varchar"',
    )


def _nested(type_: str) -> bool:
    return type_.startswith(("STRUCT(", "MAP(", "UNION(")) or type_.endswith("]")
