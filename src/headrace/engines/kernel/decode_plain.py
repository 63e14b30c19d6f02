"""Tier 1 of decoding: records that are exactly the declared fields, judged in one pass.

The invariant: what this tier passes, the strict tier would pass with the same values. A record
whose length is that of its declared keys and tokens plus punctuation has no room for anything
else (docs/decisions/0004-decoding.md), so only tokens that DuckDB repeats byte for byte count.
"""

from __future__ import annotations

from headrace.plan.operators import Source
from headrace.values.schema import Field, LiteralType, Scalar, Schema, literal, quote

_TIME_SHAPES = ("____-__-__T__:__:__Z", "____-__-__T__:__:__.___Z", "____-__-__T__:__:__.______Z")
_PLAIN = {"str", "int", "bool", "datetime", "date"}


def has_plain_tier(schema: Schema) -> bool:
    """Whether every field is of a type whose tokens keep their length."""
    return all(
        isinstance(f.type, LiteralType) or (isinstance(f.type, Scalar) and f.type.name in _PLAIN)
        for f in schema.fields
    )


def plain_sql(source: Source, records: str) -> str:
    """SELECT of the events among `records` that are plain; every other record is left out.

    `records` has `_row`, `value` (text) and the record's own columns; the result has `_row`, the
    event's columns in order, and `_partition`, `_offset`, `_arrival_time`.
    """
    fields = source.schema.fields
    spec = "{" + ",".join(f'"{f.name}":"JSON"' for f in fields) + "}"
    tokens = ", ".join(f"j.{quote(f.name)}::varchar as t{i}" for i, f in enumerate(fields))
    checks = [_length_check(fields)]
    values = []
    for i, field in enumerate(fields):
        check, value = _plain_field(field, f"t{i}", source.time == field.name and source.time_unit)
        checks.append(check)
        values.append(f"{value} as v{i}")
    nulls = [f"v{i} is not null" for i in range(len(fields))]
    columns = ", ".join(f"v{i} as {quote(f.name)}" for i, f in enumerate(fields))
    own = "_partition, _offset, _arrival_time"
    return f"""
        select _row, {columns}, {own} from (
          select _row, {own}, {", ".join(values)} from (
            select _row, {own}, strlen(value) as n, {tokens} from (
              select *, json_transform(case when json_valid(value) then value end, {literal(spec)})
                as j from {records}))
          where {" and ".join(checks)})
        where {" and ".join(nulls)}"""


def _length_check(fields: tuple[Field, ...]) -> str:
    tokens = " + ".join(f"strlen(t{i})" for i in range(len(fields)))
    keys = sum(len(f.name.encode()) + 3 for f in fields) + len(fields) - 1 + 2
    return f"(n - ({tokens}) in ({keys}, {keys + 2 * len(fields) - 1}))"


def _plain_field(field: Field, t: str, time_unit: object) -> tuple[str, str]:
    """(condition on the token, value) of one field; the value is null where it does not fit."""
    text = f"substring({t}, 2, length({t}) - 2)"
    whole = f"(not contains({t}, '.') and not contains({t}, 'e'))"
    if isinstance(field.type, LiteralType):
        first = field.type.values[0]
        if isinstance(first, int):
            allowed = ", ".join(str(v) for v in field.type.values)
            return (
                f"({whole} and try_cast({t} as bigint) in ({allowed}))",
                f"try_cast({t} as bigint)",
            )
        allowed = ", ".join(literal(f'"{v}"') for v in field.type.values)
        return f"({t} in ({allowed}) and not contains({t}, '\\'))", text
    assert isinstance(field.type, Scalar)
    match field.type.name:
        case "str":
            return f"(starts_with({t}, '\"') and not contains({t}, '\\'))", text
        case "int":
            return whole, f"try_cast({t} as bigint)"
        case "bool":
            return f"{t} in ('true', 'false')", f"({t} = 'true')"
        case "date":
            shape = f"{t} like '\"____-__-__\"' and not contains({t}, ' ')"
            return f"({shape} and not starts_with({t}, '\"0000'))", f"try_cast({text} as date)"
        case "datetime" if time_unit:
            scale = {"s": 1_000_000, "ms": 1_000, "us": 1}[str(time_unit)]
            micros = f"try(try_cast({t} as bigint) * {scale})"
            return whole, f"try(make_timestamp({micros}))"
        case _:
            shapes = " or ".join(f"{t} like '\"{s}\"'" for s in _TIME_SHAPES)
            strict = f"not contains({t}, ' ') and not contains({t}, 'T24')"
            condition = f"(({shapes}) and {strict} and not starts_with({t}, '\"0000'))"
            return condition, f"try_cast(substring({t}, 2, length({t}) - 3) as timestamp)"
