r"""Tier 1 of decoding: records written like the first one, judged by one regular expression.

A program writes its records alike: the same keys in the same order, text without escapes. The
expression is made from the keys of the first record and the declared types, so a record that it
matches is whole JSON, has each key once and every value in the accepted form; the captured groups
are the values. What it does not match is left to the strict tier, which gives the same answer
where both apply (docs/decisions/0004-decoding.md).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from headrace.plan.operators import Source
from headrace.values.schema import Field, LiteralType, Scalar

_TEXT = r'[^"\\\x00-\x1f\x7f]*'
_INT = r"-?(?:0|[1-9]\d{0,17})"
# Not -0, which is the whole number 0 and loses its sign; -0.0 keeps it.
_FLOAT = r"(?:-?[1-9]\d{0,14}(?:\.\d{1,15})?|0(?:\.\d{1,15})?|-0\.\d{1,15})"
_DATE = r"[1-9]\d{3}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])"
_TIME = _DATE + r"T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,6})?"
_ANY = rf'(?:"{_TEXT}"|{_FLOAT}|true|false|null)'
_SCALE = {"s": 1_000_000, "ms": 1_000, "us": 1}


@dataclass(frozen=True)
class Shape:
    """A pattern for records of one form, and the fields whose values it captures."""

    pattern: str
    fields: tuple[Field, ...]


@dataclass(frozen=True)
class Plain:
    """`rows` are the positions of the records that matched; `columns` their values by field."""

    rows: NDArray[np.int64]
    columns: dict[str, pa.Array]


def shape_of(source: Source, sample: str) -> Shape | None:
    """The form of `sample`; None where its keys or the declared types do not allow one."""
    try:
        pairs: list[tuple[str, object]] = json.loads(sample, object_pairs_hook=list)
    except (ValueError, RecursionError):
        return None
    if not isinstance(pairs, list) or not all(isinstance(p, tuple) for p in pairs):
        return None
    keys = [key for key, _ in pairs]
    fields = {f.name: f for f in source.schema.fields}
    if len(set(keys)) != len(keys) or not set(fields) <= set(keys):
        return None
    parts = []
    for key in keys:
        if not re.fullmatch(_TEXT, key):
            return None
        unit = source.time_unit if source.time == key else None
        value = _pattern(fields[key], unit) if key in fields else _ANY
        if value is None:
            return None
        parts.append(f'"{re.escape(key)}": ?{value}')
    return Shape(
        r"\A\{" + ", ?".join(parts) + r"\}\z", tuple(fields[k] for k in keys if k in fields)
    )


def _pattern(field: Field, unit: str | None) -> str | None:
    """The value of a field, captured; None for types that have no plain form."""
    group = f"(?P<f_{field.name}>{{}})"
    type_ = field.type
    if isinstance(type_, LiteralType):
        written = [json.dumps(v, ensure_ascii=False) for v in type_.values]
        # One with an escape is not written like its value: the strict tier reads it.
        written = [w for w in written if "\\" not in w]
        if not written:
            return None
        inner = "|".join(re.escape(w) for w in written)
        return group.format(inner + ("|null" if field.nullable else ""))
    if not isinstance(type_, Scalar):
        return None
    forms = {"int": _INT, "float": _FLOAT, "bool": "true|false", "str": f'"{_TEXT}"'}
    if type_.name in forms or unit is not None:
        inner = forms.get(type_.name, _INT)
        if type_.name == "str" and not field.nullable:
            return f'"{group.format(_TEXT)}"'
        return group.format(inner + ("|null" if field.nullable else ""))
    inner, tail = (_DATE, "") if type_.name == "date" else (_TIME, "Z")
    quoted = f'"{group.format(inner)}{tail}"'
    return f"(?:{quoted}|null)" if field.nullable else quoted


def match(source: Source, shape: Shape, values: pa.StringArray) -> Plain | None:
    """The records of `values` that have the form; None where a value has no calendar date."""
    found = pc.extract_regex(values, shape.pattern)
    rows = np.flatnonzero(found.is_valid())
    groups = found.flatten()
    if len(rows) < len(values):
        chosen = pa.array(rows)
        groups = [g.take(chosen) for g in groups]
    columns = {}
    try:
        for field, text in zip(shape.fields, groups, strict=True):
            unit = source.time_unit if source.time == field.name else None
            columns[field.name] = _value(field, text, unit)
    except pa.ArrowInvalid:
        # 30 February: rare, and only the strict tier can say which record it was.
        return None
    return Plain(rows, columns)


def _value(field: Field, text: pa.StringArray, unit: str | None) -> pa.Array:
    """The captured text of a field as its type."""
    type_ = field.type
    if field.nullable:
        text = pc.if_else(
            pc.is_in(text, pa.array(["", "null"])), pa.scalar(None, pa.string()), text
        )
    name = "int" if unit is not None else getattr(type_, "name", "literal")
    if name == "str":
        return pc.utf8_slice_codeunits(text, 1, -1) if field.nullable else text
    if isinstance(type_, LiteralType):
        if isinstance(type_.values[0], int):
            return pc.cast(text, pa.int64())
        return pc.binary_slice(text.cast(pa.binary()), 1, -1).cast(pa.string())
    if name == "bool":
        return pc.equal(text, "true")
    if name == "int":
        number = pc.cast(text, pa.int64())
        if unit is None or getattr(type_, "name", "") == "int":
            return number
        return pc.multiply_checked(number, _SCALE[unit]).cast(pa.timestamp("us"))
    kinds = {"float": pa.float64(), "date": pa.date32(), "datetime": pa.timestamp("us")}
    return pc.cast(text, kinds[name])
