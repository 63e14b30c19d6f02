"""Tier 2 of decoding: any record, with the value of each field or the reason it is refused.

Every type gives two SQL expressions over a JSON token: its value, and the reason why the token is
refused (null when it fits). Nested types are built from those of their parts.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from headrace.plan.operators import Source
from headrace.values.schema import (
    DecimalType,
    Field,
    ListType,
    LiteralType,
    Scalar,
    StructType,
    Type,
    literal,
    quote,
    sql_type,
)

_RFC3339 = (
    r'"\d{4}-\d\d-\d\d[Tt ]([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d+)?'
    r'([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)?"'
)
_NUMBER = r"-?\d.*"
_DIGITS = r"-?\d+(\.\d*)?"
_EXPONENT = r"[eE][+-]?0*\d{1,4}"


@dataclass(frozen=True)
class Judged:
    """SQL over one token: `value`, and `reason` (text, or null when the token fits)."""

    value: str
    reason: str


def strict_sql(source: Source, records: str) -> str:
    """SELECT with one row per record: `_row`, `_reason` (null: accepted), `_field`, the columns.

    `records` has `_row`, `value` (valid UTF-8 text), `_partition`, `_offset`, `_arrival_time`.
    """
    fields = source.schema.fields
    judged = [_field(f, f"t{i}", 0, _unit(source, f)) for i, f in enumerate(fields)]
    tokens = ", ".join(f"j.{quote(f.name)}::varchar as t{i}" for i, f in enumerate(fields))
    values = ", ".join(f"try({j.value}) as v{i}" for i, j in enumerate(judged))
    reasons = ", ".join(f"{j.reason} as r{i}" for i, j in enumerate(judged))
    field = " ".join(f"when r{i} is not null then {literal(f.name)}" for i, f in enumerate(fields))
    first = ", ".join(f"r{i}" for i in range(len(fields)))
    columns = ", ".join(f"v{i} as {quote(f.name)}" for i, f in enumerate(fields))
    own = "_partition, _offset, _arrival_time"
    return f"""
        select _row, {columns}, {own},
          coalesce(_whole, {first}) as _reason,
          case when _whole is not null then null {field} end as _field
        from (
          select _row, {own}, _whole, {values}, {reasons} from (
            select _row, {own}, {_whole_reason()} as _whole, {tokens} from (
              select *, json_transform(case when _valid then value end, {literal(_spec(fields))})
                as j
              from (select *, json_valid(value) as _valid from {records}))))"""


def _unit(source: Source, field: Field) -> str | None:
    return source.time_unit if source.time == field.name else None


def _whole_reason() -> str:
    return """case
      when not _valid then 'is not JSON'
      when json_type(value) <> 'OBJECT' then 'is not a JSON object but ' || lower(json_type(value))
      when list_unique(json_keys(value)) <> len(json_keys(value)) then 'has a key twice'
    end"""


def _spec(fields: tuple[Field, ...]) -> str:
    """The tokens of `fields`, for json_transform.

    It hands numbers over as they are written only if a Decimal is asked for somewhere, else through
    a double; `_` is no field's name.
    """
    return json.dumps({f.name: "JSON" for f in fields} | {"_": "DECIMAL(1,0)"})


def _field(field: Field, token: str, depth: int, unit: str | None = None) -> Judged:
    judged = _type(field.type, token, depth, unit)
    null = "null" if field.nullable else "'is missing or null'"
    reason = f"case when {token} is null then {null} else {judged.reason} end"
    return Judged(f"case when {token} is not null then {judged.value} end", reason)


def _type(type_: Type, t: str, depth: int, unit: str | None = None) -> Judged:
    match type_:
        case Scalar(name):
            return _scalar(name, t, unit)
        case LiteralType(values):
            return _literal(values, t)
        case DecimalType():
            return _decimal(type_, t)
        case StructType(fields):
            return _struct(fields, t, depth)
        case ListType():
            return _list(type_, t, depth)
    raise TypeError(f"not a type: {type_!r}")


def _scalar(name: str, t: str, unit: str | None) -> Judged:
    seen = f"left({t}, 40)"
    if name == "str":
        value = f"json_extract_string({t}, '$')"
        return Judged(
            value,
            f"""case when not starts_with({t}, '"') then 'is not a string: ' || {seen}
                when contains({value}, chr(0)) then 'holds a NUL character' end""",
        )
    if name == "int":
        return _whole_number(t)
    if name == "float":
        # A whole -0 is 0; only -0.0 has a sign.
        value = f"try_cast(case {t} when '-0' then '0' else {t} end as double)"
        return Judged(
            value,
            f"""case when not regexp_full_match({t}, '{_NUMBER}') then 'is not a number: ' || {seen}
                when {value} is null or not isfinite({value})
                then 'is out of range: ' || {seen} end""",
        )
    if name == "bool":
        return Judged(
            f"({t} = 'true')",
            f"case when {t} not in ('true', 'false') then 'is not true or false: ' || {seen} end",
        )
    if name == "date":
        value = f"try_cast(json_extract_string({t}, '$') as date)"
        return Judged(
            value,
            f"""case when not regexp_full_match({t}, '"\\d{{4}}-\\d\\d-\\d\\d"')
                  or starts_with({t}, '"0000') or {value} is null
                then 'is not a date (YYYY-MM-DD): ' || {seen} end""",
        )
    return _datetime(t, unit)


def _whole_number(t: str) -> Judged:
    """64-bit whole numbers, also written 5.0 or 1e3; DuckDB's cast would round 1.7."""
    whole = f"regexp_full_match({t}, '{_DIGITS}({_EXPONENT})?') and {_behind_point(t)} <= 0"
    value = (
        f"case when regexp_full_match({t}, '-?\\d+') then try_cast({t} as bigint) "
        f"when {whole} then try_cast({_without_exponent(t)} as bigint) end"
    )
    seen = f"left({t}, 40)"
    reason = f"""case when ({value}) is not null then null
        when not regexp_full_match({t}, '{_NUMBER}') or not ({whole})
          then 'is not a whole number: ' || {seen}
        else 'does not fit 64 bits: ' || {seen} end"""
    return Judged(value, reason)


def _digits(t: str) -> str:
    """All digits of the number written in `t`, those of its exponent left out."""
    return f"regexp_replace(regexp_replace({t}, '[eE].*', ''), '[^0-9]', '', 'g')"


def _without_exponent(t: str) -> str:
    """The number written in `t` without an exponent: DuckDB reads 1234567890123456789.01e-11 by
    way of more digits than it has room for. Null where 38 do not do before the point."""
    behind = f"({_behind_point(t)})"
    kept = f"trim({_digits(t)}, '0')"
    filled = f"lpad({kept}, greatest(length({kept}), {behind} + 1)::integer, '0')"
    return (
        f"case when {kept} = '' then '0' when length({kept}) - {behind} <= 38 then "
        f"case when starts_with({t}, '-') then '-' else '' end || case when {behind} <= 0 "
        f"then {kept} || repeat('0', -{behind}) "
        f"else left({filled}, -{behind}) || '.' || right({filled}, {behind}) end end"
    )


def _behind_point(t: str) -> str:
    """How many digits the number written in `t` has behind the point, exponent counted; 0 has 0."""
    digits = _digits(t)
    kept = f"rtrim({digits}, '0')"
    fraction = f"length(regexp_extract({t}, '\\.(\\d*)', 1))"
    exponent = f"coalesce(try_cast(regexp_extract({t}, '[eE](.*)', 1) as integer), 0)"
    zeros = f"length({digits}) - length({kept})"
    return f"case when {kept} = '' then 0 else {fraction} - {exponent} - ({zeros}) end"


def _datetime(t: str, unit: str | None) -> Judged:
    seen = f"left({t}, 40)"
    if unit is not None:
        scale = {"s": 1_000_000, "ms": 1_000, "us": 1}[unit]
        number = _whole_number(t)
        value = f"try(make_timestamp(({number.value}) * {scale}))"
        reason = f"case when ({value}) is null then 'is not a time in {unit}: ' || {seen} end"
        return Judged(value, f"coalesce({number.reason}, {reason})")
    text = f"upper(json_extract_string({t}, '$'))"
    has_zone = f"regexp_matches({text}, '(Z|[+-]\\d\\d:\\d\\d)$')"
    zoned = f"case when {has_zone} then {text} else {text} || 'Z' end"
    value = f"try(make_timestamp(epoch_us(try_cast({zoned} as timestamptz))))"
    reason = f"""case when not starts_with({t}, '"') then 'is not a time as text: ' || {seen}
        when not regexp_full_match({t}, '{_RFC3339}') or {value} is null or year({value}) < 1
          or year({value}) > 9999 then 'is not an RFC 3339 time: ' || {seen} end"""
    return Judged(value, reason)


def _literal(values: tuple[str, ...] | tuple[int, ...], t: str) -> Judged:
    base = _scalar("str" if isinstance(values[0], str) else "int", t, None)
    allowed = ", ".join(literal(v) for v in values)
    valid = literal(", ".join(str(v) for v in values))
    said = f"'is ' || left({t}, 40) || ', not one of ' || {valid}"
    reason = f"case when ({base.value}) not in ({allowed}) then {said} end"
    return Judged(base.value, f"coalesce({base.reason}, {reason})")


def _decimal(type_: DecimalType, t: str) -> Judged:
    """Exact numbers: more digits behind the point than declared are refused, never rounded."""
    text = f"""trim({t}, '"')"""
    whole, scale = type_.precision - type_.scale, type_.scale
    fraction = f"(\\.\\d{{0,{scale}}}0*)?" if scale else "(\\.0*)?"
    plain = f"regexp_full_match({text}, '-?0*\\d{{1,{max(whole, 1)}}}{fraction}')"
    power = (
        f"regexp_full_match({text}, '{_DIGITS}{_EXPONENT}') and {_behind_point(text)} <= {scale}"
    )
    value = f"case when {plain} then try_cast({text} as {sql_type(type_)}) "
    value += f"when {power} then try_cast({_without_exponent(text)} as {sql_type(type_)}) end"
    return Judged(
        value,
        f"""case when ({value}) is null
            then 'does not fit {sql_type(type_)} exactly: ' || left({t}, 40) end""",
    )


def _struct(fields: tuple[Field, ...], t: str, depth: int) -> Judged:
    j = f"try(json_transform({t}, {literal(_spec(fields))}))"
    parts = [_field(f, f"(e{depth}.{quote(f.name)}::varchar)", depth + 1) for f in fields]

    def bind(body: str) -> str:
        """`body` over the object's tokens, which are taken apart once."""
        return f"list_transform([{j}], lambda e{depth}: {body})[1]"

    packed = ", ".join(f"{quote(f.name)} := {p.value}" for f, p in zip(fields, parts, strict=True))
    value = bind(f"struct_pack({packed})")
    named = ", ".join(
        f"{literal(f.name + ' ')} || ({p.reason})" for f, p in zip(fields, parts, strict=True)
    )
    reason = f"""case when json_type({t}) <> 'OBJECT' then 'is not an object: ' || left({t}, 40)
        when list_unique(json_keys({t})) <> len(json_keys({t})) then 'has a key twice'
        else {bind(f"coalesce({named})")} end"""
    return Judged(value, reason)


def _list(type_: ListType, t: str, depth: int) -> Judged:
    spec = json.dumps({"l": ["JSON"], "_": "DECIMAL(1,0)"})
    tokens = f"""try(json_transform('{{"l":' || {t} || '}}', {literal(spec)}).l)"""
    part = _field(Field("element", type_.item, type_.nullable), f"(e{depth}::varchar)", depth + 1)
    value = f"list_transform({tokens}, lambda e{depth}: {part.value})"
    each = f"list_transform({tokens}, lambda e{depth}: {part.reason})"
    reason = f"""case when json_type({t}) <> 'ARRAY' then 'is not a list: ' || left({t}, 40)
        else 'element ' || list_filter({each}, lambda r{depth}: r{depth} is not null)[1] end"""
    return Judged(value, reason)
