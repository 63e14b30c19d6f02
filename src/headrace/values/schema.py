"""The types that a field of an event can have, and their DuckDB names.

Times are UTC with microseconds and without a zone (DuckDB `TIMESTAMP`): an expression on them
depends on nothing but its arguments. They are marked as UTC where they leave (lake, API).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal as OneOf


@dataclass(frozen=True)
class Scalar:
    """A plain value: str, int (64 bits, signed), float (64 bits), bool, datetime or date."""

    name: OneOf["str", "int", "float", "bool", "datetime", "date"]


@dataclass(frozen=True)
class DecimalType:
    """An exact number with `precision` digits, `scale` of them behind the point."""

    precision: int
    scale: int


@dataclass(frozen=True)
class LiteralType:
    """One of a fixed set: all str, or all int."""

    values: tuple[str, ...] | tuple[int, ...]


@dataclass(frozen=True)
class ListType:
    """A list; `nullable` says whether an element may be null."""

    item: Type
    nullable: bool = False


@dataclass(frozen=True)
class StructType:
    """A nested object with fields in the order of declaration."""

    fields: tuple[Field, ...]


Type = Scalar | DecimalType | LiteralType | ListType | StructType


@dataclass(frozen=True)
class Field:
    """A named value; `nullable` ones may also be null or missing."""

    name: str
    type: Type
    nullable: bool = False


@dataclass(frozen=True)
class Schema:
    """What a record of a source must look like: its event class as data."""

    name: str
    fields: tuple[Field, ...]

    def field(self, name: str) -> Field:
        """The field called `name`; KeyError if there is none."""
        for field in self.fields:
            if field.name == name:
                return field
        raise KeyError(name)


_SCALARS = {
    "str": "VARCHAR",
    "int": "BIGINT",
    "float": "DOUBLE",
    "bool": "BOOLEAN",
    "datetime": "TIMESTAMP",
    "date": "DATE",
}


def sql_type(type_: Type) -> str:
    """The DuckDB type that holds `type_`.

    >>> sql_type(ListType(StructType((Field("n", Scalar("int")),))))
    'STRUCT("n" BIGINT)[]'
    """
    match type_:
        case Scalar(name):
            return _SCALARS[name]
        case DecimalType(precision, scale):
            return f"DECIMAL({precision},{scale})"
        case LiteralType(values):
            return "VARCHAR" if isinstance(values[0], str) else "BIGINT"
        case ListType(item):
            return f"{sql_type(item)}[]"
        case StructType(fields):
            inner = ", ".join(f"{quote(f.name)} {sql_type(f.type)}" for f in fields)
            return f"STRUCT({inner})"
    raise TypeError(f"not a type: {type_!r}")


def quote(name: str) -> str:
    """`name` as a quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def quotes_missing(name: str) -> str:
    """What mends SQL in which the column `name` stands without them and is taken for a word."""
    return f'"{name}" is also a word of SQL: write the column in double quotes.'


def literal(value: str | int | None) -> str:
    """`value` as an SQL literal."""
    if value is None:
        return "NULL"
    return str(value) if isinstance(value, int) else "'" + value.replace("'", "''") + "'"
