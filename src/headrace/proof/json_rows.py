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


def transformed(text: str, types: Mapping[str, str]) -> str:
    """An expression: the JSON `text` (an expression too) as a struct for `columns_of`."""
    # A transform to TIMESTAMP would leave out a text's UTC offset.
    spec = json.dumps({c: _TIMESTAMP.sub("VARCHAR", t) for c, t in types.items()})
    return f"json_transform({text}, {literal(spec)})"


def columns_of(struct: str, types: Mapping[str, str]) -> dict[str, str]:
    """By column an expression over what `transformed` gave: a value of the column's type."""
    return {c: _with_times(f"{struct}.{quote(c)}", duckdb.sqltype(t)) for c, t in types.items()}


def _with_times(sql: str, type_: DuckDBPyType, depth: int = 0) -> str:
    """`sql`, read with its times as text, as a value of `type_`: RFC 3339, UTC without offset."""
    if not _TIMESTAMP.search(str(type_)):
        return sql
    nested = type_.children if type_.id in ("list", "struct") else []
    children = [(n, t) for n, t in nested if isinstance(t, DuckDBPyType)]
    match type_.id:
        case "list":
            item = f"x{depth}"
            made = _with_times(item, children[0][1], depth + 1)
            return f"list_transform({sql}, lambda {item}: {made})"
        case "struct":
            fields = [
                f"{quote(n)} := {_with_times(f'({sql}).{quote(n)}', t, depth)}" for n, t in children
            ]
            return f"case when {sql} is not null then struct_pack({', '.join(fields)}) end"
    return f"cast(try_cast(upper({sql}) as timestamptz) as timestamp)"
