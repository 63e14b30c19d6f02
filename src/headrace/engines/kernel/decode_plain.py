r"""Tier 1 of decoding: records written alike, taken apart by where their values stand.

The form of a record (plain_form.py) comes from the first one that has not found its own yet.
Records of that form are whole JSON with each key once; what remains is to judge the values in the
accepted notations. What has no form here, or a value in another notation, is left to the strict
tier, which gives the same answer where both apply (docs/decisions/0004-decoding.md).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from headrace.engines.kernel.plain_form import Form, form_of
from headrace.engines.kernel.plain_places import Places, octets_at, places_of
from headrace.plan.operators import Source
from headrace.values.schema import Field, LiteralType, Scalar

_FORMS_MAX = 8
_INT = r"-?(?:0|[1-9]\d{0,17})"
# Not -0, which is the whole number 0 and loses its sign; -0.0 keeps it.
_FLOAT = r"(?:-?[1-9]\d{0,14}(?:\.\d{1,15})?|0(?:\.\d{1,15})?|-0\.\d{1,15})"
_ANY = rf"{_FLOAT}|true|false|null"
_SCALE = {"s": 1_000_000, "ms": 1_000, "us": 1}
# The kinds in quotation marks, with a digit wherever a 9 stands.
_QUOTED = {"date": "9999-99-99", "datetime": "9999-99-99T99:99:99"}
_FRACTIONS = range(1, 7)
_NULL = pa.scalar(None, pa.string())
_ARROW = {
    "str": pa.string(),
    "int": pa.int64(),
    "float": pa.float64(),
    "bool": pa.bool_(),
    "date": pa.date32(),
    "datetime": pa.timestamp("us"),
}
_BLOCK_ROWS = 4096

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Plain:
    """`rows` are the positions of the records, `columns` their values by field.

    `keys` are all keys of each of these records, declared or not.
    """

    rows: NDArray[np.int64]
    columns: dict[str, pa.Array]
    keys: frozenset[str]


class _NotPlain(Exception):
    """A column holds what this tier does not read."""


def plain_events(source: Source, values: pa.StringArray) -> list[Plain]:
    """The events among `values` that are written like others, form by form."""
    found: list[Plain] = []
    left = np.flatnonzero(values.is_valid()) if values.null_count else np.arange(len(values))
    texts = values if len(left) == len(values) else values.take(pa.array(left))
    for _ in range(_FORMS_MAX):
        if not len(left):
            break
        form = form_of(texts[0].as_py())
        plain = None if form is None else _match(source, form, texts)
        if plain is not None and len(plain.rows) == len(left):
            found.append(replace(plain, rows=left))
            break
        stays = np.ones(len(left), bool)
        if plain is not None and len(plain.rows):
            found.append(replace(plain, rows=left[plain.rows]))
            stays[plain.rows] = False
        # One that is not even of its own form will not be of another.
        stays[0] = False
        if not stays.any():
            break
        left = left[stays]
        texts = texts.take(pa.array(np.flatnonzero(stays)))
    return found


def _match(source: Source, form: Form, values: pa.StringArray) -> Plain | None:
    """The records of `values` that have `form` and plain values; None where there is no telling."""
    fields = {f.name: f for f in source.schema.fields}
    slots = {slot.key: number for number, slot in enumerate(form.slots)}
    if any(n not in slots and not f.nullable for n, f in fields.items()):
        return None
    if not all(isinstance(f.type, (LiteralType, Scalar)) for f in fields.values()):
        return None
    places = places_of(form, values)
    good: Mask = np.ones(len(places.rows), bool)
    columns: dict[str, pa.Array] = {}
    try:
        for key, number in slots.items():
            quoted = form.slots[number].quoted
            if key not in fields:
                if not quoted:
                    good &= _matches(places.texts(number), _ANY)
                continue
            unit = source.time_unit if source.time == key else None
            columns[key] = _value(fields[key], unit, places, number, quoted, good)
    except (_NotPlain, pa.ArrowInvalid):
        # A number beyond its range, or 30 February: rare, and the strict tier says which it was.
        return None
    for name, field in fields.items():
        if name not in slots:
            columns[name] = pa.nulls(len(good), _arrow_type(field))
    if good.all():
        return Plain(places.rows, columns, frozenset(slots))
    kept = pa.array(good)
    columns = {n: c.filter(kept) for n, c in columns.items()}
    return Plain(places.rows[good], columns, frozenset(slots))


def _kind(field: Field, unit: str | None) -> str:
    """How a value is written: as text, int, float, bool, date, datetime or one of a set."""
    if isinstance(field.type, LiteralType):
        return "set"
    return "int" if unit is not None else getattr(field.type, "name", "")


def _arrow_type(field: Field) -> pa.DataType:
    if isinstance(field.type, LiteralType):
        return pa.int64() if isinstance(field.type.values[0], int) else pa.string()
    return _ARROW[getattr(field.type, "name", "")]


def _value(
    field: Field, unit: str | None, places: Places, slot: int, quoted: bool, good: Mask
) -> pa.Array:
    """The values of a field; clears `good` where one is not written in the accepted notation."""
    kind = _kind(field, unit)
    if quoted != (kind in _QUOTED or _arrow_type(field) == pa.string()):
        # Only null is written without the quotation marks that its kind has.
        texts = places.texts(slot)
        if quoted or not field.nullable:
            raise _NotPlain
        good &= _is(pc.equal(texts, "null"))
        return pa.nulls(len(texts), _arrow_type(field))
    if kind in _QUOTED:
        good &= _in_form(places, slot, _QUOTED[kind], zoned=kind == "datetime")
        texts = places.texts(slot, int(kind == "datetime"))
    else:
        texts = places.texts(slot)
        if kind != "str":
            good &= _written(field, kind, texts)
    if not quoted and field.nullable:
        texts = pc.if_else(pc.equal(texts, "null"), _NULL, texts)
    if kind == "str" or _arrow_type(field) == pa.string():
        return texts
    if not good.all():
        texts = pc.if_else(pa.array(good), texts, _NULL)
    return _typed(field, kind, unit, texts)


def _typed(field: Field, kind: str, unit: str | None, texts: pa.StringArray) -> pa.Array:
    if kind == "bool":
        return pc.equal(texts, "true")
    if unit is None or _arrow_type(field) == pa.int64():
        return pc.cast(texts, _arrow_type(field))
    ticks = pc.multiply_checked(pc.cast(texts, pa.int64()), _SCALE[unit])
    return ticks.cast(pa.timestamp("us"))


def _written(field: Field, kind: str, texts: pa.StringArray) -> Mask:
    """Which of `texts` are in the notation of their kind."""
    null = ["null"] if field.nullable and _arrow_type(field) != pa.string() else []
    if isinstance(field.type, LiteralType):
        known = [*(str(v) for v in field.type.values), *null]
        return _is(pc.is_in(texts, pa.array(known, pa.string())))
    if kind == "bool":
        return _is(pc.is_in(texts, pa.array(["true", "false", *null])))
    return _matches(texts, "|".join([_INT if kind == "int" else _FLOAT, *null]))


def _matches(texts: pa.StringArray, pattern: str) -> Mask:
    return _is(pc.match_substring_regex(texts, rf"\A(?:{pattern})\z"))


def _is(condition: pa.BooleanArray) -> Mask:
    found: Mask = condition.to_numpy(zero_copy_only=False)
    return found


def _in_form(places: Places, slot: int, form: str, *, zoned: bool) -> Mask:
    """Which values have the digits and signs of `form` in their places.

    With `zoned` a fraction of up to six digits may follow, and a Z has to.
    """
    starts = places.starts[slot]
    lengths = places.ends[slot] - starts
    octets = np.frombuffer(places.content, np.uint8)
    good = np.zeros(len(lengths), bool)
    tails = ["Z", *(f".{'9' * n}Z" for n in _FRACTIONS)] if zoned else [""]
    for tail in tails:
        same = lengths == len(form + tail)
        if same.all():
            return _has_digits(octets, starts, form + tail)
        if same.any():
            good[same] = _has_digits(octets, starts[same], form + tail)
    return good


def _has_digits(octets: NDArray[np.uint8], starts: NDArray[np.int32], form: str) -> Mask:
    highest = np.frombuffer(form.encode(), np.uint8)
    lowest = np.where(highest == ord("9"), ord("0"), highest).astype(np.uint8)
    lowest[0] = ord("1")
    count = min(len(starts), _BLOCK_ROWS)
    lows, spreads = np.tile(lowest, count), np.tile(highest - lowest, count)
    good = np.ones(len(starts), bool)
    # A block stays in the cache.
    for at in range(0, len(starts), _BLOCK_ROWS):
        found = octets_at(octets, starts[at : at + _BLOCK_ROWS], len(form))
        found -= lows[: len(found)]
        fits = found <= spreads[: len(found)]
        if not fits.all():
            good[at : at + _BLOCK_ROWS] = fits.reshape(-1, len(form)).all(axis=1)
    return good
