"""SQL that reads a text as a DuckDB type, and gives null where the cast would change the value.

Types are told by a file's beginning, and DuckDB's casts round 19.99 to a whole number and cut the
time off a date. What is null here and was not in the file keeps its row as it was read.
"""

from __future__ import annotations

from duckdb.sqltypes import DuckDBPyType

from headrace.values.schema import quote

_WHOLE = r"\s*[+-]?[0-9]\w*(\.0*)?([eE]\+?[0-9]+)?\s*"
_DAY = r"\s*-?[0-9]+[^0-9][0-9]+[^0-9][0-9]+\s*"
_TIME_OF_DAY = r"[0-9]+:[0-9:.]*"
_INTEGERS = (
    *("tinyint", "smallint", "integer", "bigint", "hugeint"),
    *("utinyint", "usmallint", "uinteger", "ubigint", "uhugeint"),
)
_NESTED = ("struct", "map", "list")


def of_cell(text: str, type_: str) -> str:
    """A cell of CSV, `text` as SQL, read as one of the types that CSV is sniffed for."""
    match type_:
        case "VARCHAR":
            return text
        case "TIMESTAMP":
            return f"try_cast({text} AS timestamptz)::timestamp"
        case "BIGINT":
            return _where(f"regexp_full_match({text}, '{_WHOLE}')", f"try_cast({text} AS bigint)")
        case "DATE":
            return _where(f"regexp_full_match({text}, '{_DAY}')", f"try_cast({text} AS date)")
    return f"try_cast({text} AS {type_})"


def of_json(text: str, string: str, type_: DuckDBPyType) -> str:
    """A JSON value, `text` as SQL and `string` where it is a string, read as `type_`."""
    cast = f"try_cast({text}::json AS {type_})"
    kind = type_.id
    if str(type_) == "VARCHAR":
        return string
    if kind in ("timestamp", "timestamp with time zone"):
        return f"try_cast({string} AS timestamptz)::timestamp"
    if kind in _INTEGERS:
        return _where(f"regexp_full_match({string}, '{_WHOLE}')", cast)
    if kind == "date":
        return _where(f"regexp_full_match({string}, '{_DAY}')", cast)
    if kind == "time":
        return _where(f"regexp_full_match({string}, '{_TIME_OF_DAY}')", cast)
    if kind == "boolean":
        return _where(f"{text} in ('true', 'false')", cast)
    if kind in ("float", "double"):
        return _where(f"{text} not in ('true', 'false')", cast)
    if kind in _NESTED and (written := _as_written(type_)) != str(type_):
        same = f"{cast}::{written} IS NOT DISTINCT FROM try_cast({text}::json AS {written})"
        return _where(same, cast)
    return cast


def _as_written(type_: DuckDBPyType) -> str:
    """`type_` with texts in place of whatever a cast may round, cut or make of something else."""
    if type_.id in (*_INTEGERS, "boolean", "date"):
        return "VARCHAR"
    if type_.id not in _NESTED:
        return str(type_)
    nested = ((name, child) for name, child in type_.children if isinstance(child, DuckDBPyType))
    children = [(name, _as_written(child)) for name, child in nested]
    if type_.id == "struct":
        return f"STRUCT({', '.join(f'{quote(name)} {child}' for name, child in children)})"
    if type_.id == "map":
        return f"MAP({', '.join(child for _, child in children)})"
    return f"{children[0][1]}[]"


def _where(condition: str, then: str) -> str:
    return f"CASE WHEN {condition} THEN {then} END"
