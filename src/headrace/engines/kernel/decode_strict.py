"""Tier 2 of decoding: any record, with the value of each field or the reason it is refused.

Every type gives two SQL expressions over a JSON token: its value, and the reason why the token is
refused (null when it fits). Nested types are built from those of their parts. Inside of them a
reason begins with the path to what is at fault, and a space: `.lines.qty is missing or null`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from headrace.engines.kernel.decode_numbers import in_turn, written
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
POWERS = r'[:\[,"]\s*-?\d+(\.\d*)?[eE]|\\u00(?:2[dDeE]|3\d|[46]5)'
"""What each record with a number that has an exponent matches.

A number in a text may be written by escapes: those of a minus, a point, a digit or an E.
"""

# No field is called so: names of Python are no numbers.
_EXACT = {"0": "DECIMAL(1,0)"}
# Digits that no type has room for.
_TOO_MANY = 39


@dataclass(frozen=True)
class Judged:
    """SQL over one token: `value`, and `reason` (text, or null when the token fits)."""

    value: str
    reason: str


@dataclass(frozen=True)
class _Token:
    """What is judged: `text` is SQL of the token as it is written, `depth` how deep it is nested.

    `powers` is that of `strict_sql`, `known` where the reason finds the value if that is computed
    already, `unit` that of a time which is written as a number.
    """

    text: str
    powers: bool
    depth: int
    known: str | None = None
    unit: str | None = None

    def inner(self, text: str) -> _Token:
        """A token inside of this one."""
        return _Token(text, self.powers, self.depth + 1)


def strict_sql(source: Source, records: str, *, powers: bool) -> str:
    """SELECT with one row per record: `_row`, `_reason` (null: accepted), `_field`, the columns.

    `records` has `_row`, `value` (valid UTF-8 text), `_partition`, `_offset`, `_arrival_time`.
    Without `powers` no number in it has an exponent (`POWERS`): a fifth of the SQL for each field.
    """
    fields = source.schema.fields
    judged = [
        _field(f, _Token(f"t{i}", powers, 0, f"v{i}", _unit(source, f)))
        for i, f in enumerate(fields)
    ]
    tokens = ", ".join(f"j.{quote(f.name)}::varchar as t{i}" for i, f in enumerate(fields))
    values = ", ".join(f"try({j.value}) as v{i}" for i, j in enumerate(judged))
    reasons = ", ".join(f"{j.reason} as r{i}" for i, j in enumerate(judged))
    field = " ".join(f"when r{i} is not null then {_path(i, f)}" for i, f in enumerate(fields))
    first = ", ".join(_words(i, f) for i, f in enumerate(fields))
    columns = ", ".join(f"v{i} as {quote(f.name)}" for i, f in enumerate(fields))
    own = "_partition, _offset, _arrival_time"
    return f"""
        select _row, {columns}, {own},
          coalesce(_whole, {first}) as _reason,
          case when _whole is not null then null {field} end as _field
        from (
          select *, {reasons} from (
            select *, {values} from (
              select _row, {own}, {_whole_reason()} as _whole, {tokens} from (
                select *, json_transform(case when _valid then value end, {literal(_spec(fields))})
                  as j
                from (select *, json_valid(value) as _valid from {records})))))"""


def _path(i: int, field: Field) -> str:
    return (
        f"{literal(field.name)} || split_part(r{i}, ' ', 1)"
        if _nests(field)
        else literal(field.name)
    )


def _words(i: int, field: Field) -> str:
    return f"substr(r{i}, instr(r{i}, ' ') + 1)" if _nests(field) else f"r{i}"


def _nests(field: Field) -> bool:
    return isinstance(field.type, StructType | ListType)


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
    a double.
    """
    return json.dumps({f.name: "JSON" for f in fields} | _EXACT)


def _field(field: Field, token: _Token) -> Judged:
    judged, t = _type(field.type, token), token.text
    null, why = "'is missing or null'", judged.reason
    if token.depth and not _nests(field):
        why = f"' ' || ({why})"
    if token.depth or _nests(field):
        null = "' is missing or null'"
    if field.nullable:
        null = "null"
    reason = f"case when {t} is null then {null} else {why} end"
    return Judged(f"case when {t} is not null then {judged.value} end", reason)


def _type(type_: Type, token: _Token) -> Judged:
    match type_:
        case Scalar(name):
            return _scalar(name, token)
        case LiteralType(values):
            return _literal(values, token)
        case DecimalType():
            return _decimal(type_, token)
        case StructType(fields):
            return _struct(fields, token)
        case ListType():
            return _list(type_, token)
    raise TypeError(f"not a type: {type_!r}")


def _scalar(name: str, token: _Token) -> Judged:
    t, known = token.text, token.known
    seen = f"left({t}, 40)"
    if name == "str":
        value = f"json_extract_string({t}, '$')"
        return Judged(
            value,
            f"""case when not starts_with({t}, '"') then 'is not a string: ' || {seen}
                when contains({value}, chr(0)) then 'holds a NUL character' end""",
        )
    if name == "int":
        return _whole_number(token)
    if name == "float":
        # A whole -0 is 0; only -0.0 has a sign.
        value = f"try_cast(case {t} when '-0' then '0' else {t} end as double)"
        read = known or value
        return Judged(
            value,
            f"""case when not regexp_full_match({t}, '{_NUMBER}') then 'is not a number: ' || {seen}
                when {read} is null or not isfinite({read})
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
                  or starts_with({t}, '"0000') or {known or value} is null
                then 'is not a date (YYYY-MM-DD): ' || {seen} end""",
        )
    return _datetime(token)


def _whole_number(token: _Token) -> Judged:
    """64-bit whole numbers, also written 5.0 or 1e3; DuckDB's cast would round 1.7."""
    return Judged(f"try_cast({_whole(token)} as bigint)", _no_whole_number(token, "null"))


def _whole(token: _Token) -> str:
    """The digits of a whole number, null where it is none."""
    t = token.text
    powers = ""
    if token.powers:
        exact = f"case when n.behind <= 0 then coalesce(n.text, repeat('9', {_TOO_MANY})) end"
        powers = f"else {written(t, exact)}"
    return f"""case when regexp_full_match({t}, '-?\\d+') then {t}
        when regexp_full_match({t}, '-?\\d+\\.0*') then split_part({t}, '.', 1) {powers} end"""


def _no_whole_number(token: _Token, otherwise: str) -> str:
    """Why it is no 64-bit whole number, or what is said of one (SQL, which knows it as `h`)."""
    seen = f"left({token.text}, 40)"
    reason = f"""case when h is null then 'is not a whole number: ' || {seen}
        when try_cast(h as bigint) is null then 'does not fit 64 bits: ' || {seen}
        else {otherwise} end"""
    reason = in_turn("h", _whole(token), reason)
    return f"case when {token.known} is null then {reason} end" if token.known else reason


def _datetime(token: _Token) -> Judged:
    t = token.text
    seen = f"left({t}, 40)"
    if token.unit is not None:
        scale = {"s": 1_000_000, "ms": 1_000, "us": 1}[token.unit]
        value = f"try(make_timestamp(try_cast({_whole(token)} as bigint) * {scale}))"
        time = f"try(make_timestamp(try_cast(h as bigint) * {scale}))"
        none = f"case when {time} is null then 'is not a time in {token.unit}: ' || {seen} end"
        return Judged(value, _no_whole_number(token, none))
    text = f"upper(json_extract_string({t}, '$'))"
    has_zone = f"regexp_matches({text}, '(Z|[+-]\\d\\d:\\d\\d)$')"
    zoned = f"case when {has_zone} then {text} else {text} || 'Z' end"
    value = f"try(make_timestamp(epoch_us(try_cast({zoned} as timestamptz))))"
    read = token.known or value
    reason = f"""case when not starts_with({t}, '"') then 'is not a time as text: ' || {seen}
        when not regexp_full_match({t}, '{_RFC3339}') or {read} is null or year({read}) < 1
          or year({read}) > 9999 then 'is not an RFC 3339 time: ' || {seen} end"""
    return Judged(value, reason)


def _literal(values: tuple[str, ...] | tuple[int, ...], token: _Token) -> Judged:
    base = _scalar("str" if isinstance(values[0], str) else "int", token)
    allowed = ", ".join(literal(v) for v in values)
    valid = literal(", ".join(str(v) for v in values))
    said = f"'is ' || left({token.text}, 40) || ', not one of ' || {valid}"
    reason = f"case when ({token.known or base.value}) not in ({allowed}) then {said} end"
    return Judged(base.value, f"coalesce({base.reason}, {reason})")


def _decimal(type_: DecimalType, token: _Token) -> Judged:
    """Exact numbers: more digits behind the point than declared are refused, never rounded."""
    text = f"""trim({token.text}, '"')"""
    whole, scale = type_.precision - type_.scale, type_.scale
    fraction = f"(\\.\\d{{0,{scale}}}0*)?" if scale else "(\\.0*)?"
    plain = f"regexp_full_match({text}, '-?0*\\d{{1,{max(whole, 1)}}}{fraction}')"
    value = f"case when {plain} then try_cast({text} as {sql_type(type_)}) "
    if token.powers:
        fits = f"case when n.behind <= {scale} then try_cast(n.text as {sql_type(type_)}) end"
        value += f"when contains(upper({text}), 'E') then {written(text, fits)} "
    value += "end"
    return Judged(
        value,
        f"""case when ({token.known or value}) is null
            then 'does not fit {sql_type(type_)} exactly: ' || left({token.text}, 40) end""",
    )


def _struct(fields: tuple[Field, ...], token: _Token) -> Judged:
    t, depth = token.text, token.depth
    j = f"try(json_transform({t}, {literal(_spec(fields))}))"
    parts = [_field(f, token.inner(f"(e{depth}.{quote(f.name)}::varchar)")) for f in fields]

    def bind(body: str) -> str:
        """`body` over the object's tokens, which are taken apart once."""
        return in_turn(f"e{depth}", j, body)

    packed = ", ".join(f"{quote(f.name)} := {p.value}" for f, p in zip(fields, parts, strict=True))
    value = bind(f"struct_pack({packed})")
    named = ", ".join(
        f"{literal('.' + f.name)} || ({p.reason})" for f, p in zip(fields, parts, strict=True)
    )
    reason = f"""case when json_type({t}) <> 'OBJECT' then ' is not an object: ' || left({t}, 40)
        when list_unique(json_keys({t})) <> len(json_keys({t})) then ' has a key twice'
        else {bind(f"coalesce({named})")} end"""
    return Judged(value, reason)


def _list(type_: ListType, token: _Token) -> Judged:
    t, depth = token.text, token.depth
    spec = json.dumps({"l": ["JSON"]} | _EXACT)
    tokens = f"""try(json_transform('{{"l":' || {t} || '}}', {literal(spec)}).l)"""
    element = Field("element", type_.item, type_.nullable)
    part = _field(element, token.inner(f"(e{depth}::varchar)"))
    value = f"list_transform({tokens}, lambda e{depth}: {part.value})"
    each = f"list_transform({tokens}, lambda e{depth}: {part.reason})"
    first = f"list_filter({each}, lambda r{depth}: r{depth} is not null)[1]"
    reason = f"""case when json_type({t}) <> 'ARRAY' then ' is not a list: ' || left({t}, 40)
        else regexp_replace({first}, '^ ', ' element ') end"""
    return Judged(value, reason)
