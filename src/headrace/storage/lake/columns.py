"""Columns of a lake: how Headrace's types stand in its files, and how they are read back.

Inside Headrace a time is naive UTC; in a lake it must be marked as UTC, since plain times need
Delta features (reader 3, writer 7) that many readers lack. Both are the same 64 bits.
"""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from headrace.values.errors import DefinitionError
from headrace.values.schema import quote

METADATA = pa.schema(
    [
        pa.field("_topic", pa.string()),
        pa.field("_topic_generation", pa.string()),
        pa.field("_partition", pa.int32()),
        pa.field("_offset", pa.int64()),
        pa.field("_replay", pa.int64()),
        pa.field("_arrival_time", pa.timestamp("us")),
        pa.field("_epoch", pa.int64()),
        pa.field("_late", pa.list_(pa.string())),
    ]
)
"""What stands beside the event in a lake of events: its identity, and where it was late."""

UTC = pa.timestamp("us", tz="UTC")


def in_lake(schema: pa.Schema) -> pa.Schema:
    """`schema` as the lake's files hold it: every time marked as UTC, every column nullable.

    Delta has no unsigned numbers: they become the next wider signed ones. Raises DefinitionError
    for a type that a lake cannot hold.
    """
    stored = []
    for field in schema:
        type_ = _stored(field.type)
        if type_ is None:
            raise DefinitionError(
                f"A lake cannot hold the column {field.name!r}, which is {field.type}",
                remedy="Cast it: to VARCHAR, a number, a TIMESTAMP, a DATE, or a list or struct "
                "of them.",
            )
        stored.append(pa.field(field.name, type_))
    return pa.schema(stored)


def _stored(type_: pa.DataType) -> pa.DataType | None:
    if _is_list(type_):
        item = _stored(type_.value_type)
        return None if item is None else pa.list_(item)
    if pa.types.is_struct(type_):
        fields = [(f.name, _stored(f.type)) for f in type_]
        return None if any(t is None for _, t in fields) else pa.struct(fields)
    if pa.types.is_timestamp(type_):
        return UTC
    if pa.types.is_decimal128(type_):
        return type_
    if pa.types.is_dictionary(type_):
        return _stored(type_.value_type)
    return _STORED.get(str(type_), type_ if str(type_) in _PLAIN else None)


def decoded(schema: pa.Schema) -> pa.Schema:
    """`schema` with the values' types in place of dictionaries."""
    return pa.schema(
        [f.with_type(f.type.value_type) if pa.types.is_dictionary(f.type) else f for f in schema]
    )


def _is_list(type_: pa.DataType) -> bool:
    return bool(
        pa.types.is_list(type_) or pa.types.is_large_list(type_) or pa.types.is_list_view(type_)
    )


def leaves(schema: pa.Schema) -> Iterator[tuple[str, pa.DataType]]:
    """Every Parquet column of `schema` as (its path in the file, its type)."""
    for field in schema:
        yield from _leaves(field.name, field.type)


def _leaves(path: str, type_: pa.DataType) -> Iterator[tuple[str, pa.DataType]]:
    if _is_list(type_):
        yield from _leaves(f"{path}.list.element", type_.value_type)
    elif pa.types.is_struct(type_):
        for field in type_:
            yield from _leaves(f"{path}.{field.name}", field.type)
    else:
        yield path, type_


def type_sql(type_: pa.DataType) -> str:
    """The DuckDB type of a column of that Arrow type, as it stands in the lake's files."""
    if _is_list(type_):
        return f"{type_sql(type_.value_type)}[]"
    if pa.types.is_struct(type_):
        inner = ", ".join(f"{quote(f.name)} {type_sql(f.type)}" for f in type_)
        return f"STRUCT({inner})"
    if pa.types.is_timestamp(type_):
        return "TIMESTAMPTZ" if type_.tz else "TIMESTAMP"
    if pa.types.is_decimal(type_):
        return f"DECIMAL({type_.precision},{type_.scale})"
    return _PLAIN[str(type_)]


_PLAIN = {
    "string": "VARCHAR",
    "binary": "BLOB",
    "bool": "BOOLEAN",
    "int8": "TINYINT",
    "int16": "SMALLINT",
    "int32": "INTEGER",
    "int64": "BIGINT",
    "float": "FLOAT",
    "double": "DOUBLE",
    "date32[day]": "DATE",
}


_STORED = {
    "large_string": pa.string(),
    "string_view": pa.string(),
    "large_binary": pa.binary(),
    "binary_view": pa.binary(),
    "uint8": pa.int16(),
    "uint16": pa.int32(),
    "uint32": pa.int64(),
    "uint64": pa.decimal128(20, 0),
}


def naive_sql(column: str, type_: pa.DataType, depth: int = 0) -> str:
    """SQL that reads `column` (SQL, of `type_` in the lake) with its times naive UTC again.

    Through microseconds: a cast would go by the session's time zone, and costs seven times more.
    """
    if not has_time(type_):
        return column
    if pa.types.is_timestamp(type_):
        return f"make_timestamp(epoch_us({column}))"
    if _is_list(type_):
        item = f"x{depth}"
        inner = naive_sql(item, type_.value_type, depth + 1)
        return f"list_transform({column}, lambda {item}: {inner})"
    inner = ", ".join(
        f"{quote(f.name)} := {naive_sql(f'({column}).{quote(f.name)}', f.type, depth)}"
        for f in type_
    )
    return f"CASE WHEN {column} IS NOT NULL THEN struct_pack({inner}) END"


def has_time(type_: pa.DataType) -> bool:
    """Whether a timestamp stands anywhere inside `type_`."""
    if _is_list(type_):
        return has_time(type_.value_type)
    if pa.types.is_struct(type_):
        return any(has_time(f.type) for f in type_)
    return bool(pa.types.is_timestamp(type_))
