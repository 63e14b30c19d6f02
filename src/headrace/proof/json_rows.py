"""Rows that stand as JSON, read back as typed columns."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

import duckdb
from duckdb.sqltypes import DuckDBPyType

from headrace.values.schema import literal, quote

# The type, also inside structs and lists; a field's name is followed by its type.
_TIMESTAMP = re.compile(r"\bTIMESTAMP(?=[,)\[]|$)")
_FLOAT = re.compile(r"\b(?:DOUBLE|FLOAT)(?=[,)\[]|$)")


def transformed(text: str, types: Mapping[str, str]) -> str:
    """An expression: the JSON `text` (an expression too) as a struct for `columns_of`."""
    # A transform to TIMESTAMP would leave out a text's UTC offset.
    spec = json.dumps({c: _TIMESTAMP.sub("VARCHAR", t) for c, t in types.items()})
    return f"json_transform({text}, {literal(spec)})"


def columns_of(struct: str, types: Mapping[str, str]) -> dict[str, str]:
    """By column an expression over what `transformed` gave: a value of the column's type."""
    # Times are read as text: RFC 3339, UTC without offset.
    time = "cast(try_cast(upper({}) as timestamptz) as timestamp)"
    return {
        c: _mapped(f"{struct}.{quote(c)}", duckdb.sqltype(t), _TIMESTAMP, time)
        for c, t in types.items()
    }


def carried(types: Mapping[str, str]) -> str:
    """What follows `*` in a SELECT of rows, so that it gives what JSON carries of them.

    A number that is not finite becomes null there, inside structs and lists too.
    """
    finite = "case when isfinite({0}) then {0} end"
    replaced = [
        f"{_mapped(quote(c), duckdb.sqltype(t), _FLOAT, finite)} as {quote(c)}"
        for c, t in types.items()
        if _FLOAT.search(t)
    ]
    return f"replace ({', '.join(replaced)})" if replaced else ""


def _mapped(sql: str, type_: DuckDBPyType, of: re.Pattern[str], made: str, depth: int = 0) -> str:
    """`sql`, a value of `type_`, with all that is `of` some types in it `made` anew."""
    if not of.search(str(type_)):
        return sql
    nested = type_.children if type_.id in ("list", "struct") else []
    children = [(n, t) for n, t in nested if isinstance(t, DuckDBPyType)]
    match type_.id:
        case "list":
            item = f"x{depth}"
            each = _mapped(item, children[0][1], of, made, depth + 1)
            return f"list_transform({sql}, lambda {item}: {each})"
        case "struct":
            fields = [
                f"{quote(n)} := {_mapped(f'({sql}).{quote(n)}', t, of, made, depth)}"
                for n, t in children
            ]
            return f"case when {sql} is not null then struct_pack({', '.join(fields)}) end"
        case "map":
            return f"cast({sql} as {type_})"
    return made.format(sql)
