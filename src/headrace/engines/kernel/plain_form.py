"""How a program writes its records: the bytes around the values, taken from one of them.

Programs write the same keys in the same order with the same spaces. Of such records only the
values differ, and what lies between them can be compared byte for byte.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

_DECODER = json.JSONDecoder()
_SPACE = " \t\r\n"


@dataclass(frozen=True)
class Slot:
    """Where a value stands: the key before it, and whether in quotes."""

    key: str
    quoted: bool


@dataclass(frozen=True)
class Part:
    """The bytes between two values.

    `quote` is the number of its first quotation mark among those of the record, `quote_at` the
    place of that mark in `text`.
    """

    text: bytes
    quote: int
    quote_at: int


@dataclass(frozen=True)
class Form:
    """A record is parts[0], slots[0], parts[1], slots[1], …, parts[-1]; `quotes` in all parts."""

    parts: tuple[Part, ...]
    slots: tuple[Slot, ...]
    quotes: int


def form_of(sample: str) -> Form | None:
    """The form of `sample`; None unless it is one JSON object of plain values, keys distinct."""
    try:
        pairs: object = json.loads(sample, object_pairs_hook=_Pairs)
    except (ValueError, RecursionError):
        return None
    if not isinstance(pairs, _Pairs) or not pairs or "\\" in sample or sample[-1] != "}":
        return None
    keys = [key for key, _ in pairs]
    if len(set(keys)) != len(keys) or any(isinstance(v, (_Pairs, list)) for _, v in pairs):
        return None
    slots, texts, after, at = [], [], 0, sample.index("{") + 1
    for _ in keys:
        key, at = _DECODER.raw_decode(sample, _past(sample, at, _SPACE + ","))
        at = _past(sample, at, _SPACE + ":")
        quoted = sample[at] == '"'
        _, end = _DECODER.raw_decode(sample, at)
        texts.append(sample[after : at + quoted])
        slots.append(Slot(key, quoted))
        after, at = end - quoted, end
    texts.append(sample[after:])
    return _form([text.encode() for text in texts], tuple(slots))


class _Pairs(list[tuple[str, object]]):
    """An object's members, told apart from a list of values."""


def _past(text: str, at: int, skipped: str) -> int:
    while text[at] in skipped:
        at += 1
    return at


def _form(texts: list[bytes], slots: tuple[Slot, ...]) -> Form:
    parts: list[Part] = []
    quotes = 0
    for text in texts:
        parts.append(Part(text, quotes, text.find(b'"')))
        quotes += text.count(b'"')
    return Form(tuple(parts), slots, quotes)
