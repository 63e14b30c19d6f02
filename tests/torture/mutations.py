"""Mutations of records: of their bytes, of their JSON, and of the files that hold them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from random import Random

from headrace.plan.operators import Source
from tests.engines.kernel.test_decode import TOKENS

_VALUE = rb'("(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|true|false|null)'
_MEMBER = re.compile(rb'("(?:[^"\\]|\\.)*")(\s*:\s*)' + _VALUE)
_STRUCTURE = re.compile(rb"[{}\[\],:]")
_BYTES = bytes(range(32)) + b'"\\{}[],:0123456789eE+-.TZtfn/ \x7f\x80\xc0\xed\xf5\xff'
_SPACES = (b" ", b"\t", b"\r", b"\x0c", b"\xc2\xa0", b"\xe2\x80\xa8", b"  ")
_NASTY = tuple(token.encode() for good, bad in TOKENS.values() for token in (*good, *bad)) + (
    b"9" * 400,
    b"-" + b"1" * 38,
    b"1e999999999",
    b"1e-999999999",
    b"-0e0",
    b"0.1e1",
    b"1" + b"0" * 30 + b"e-30",
    b"9223372036854775807.0",
    b"18446744073709551616",
    b'"\\ud800"',
    b'"\\udc00\\ud800"',
    b'"\\ud83d\\ude00"',
    b'"\xed\xa0\x80"',
    b'"\xf0\x9f\x98\x80"',
    b'"\xff\xfe"',
    b'"\xc0\x80"',
    b'"\\u0000"',
    b'"\x00"',
    b'"\x7f"',
    b'"\xc2\x85\xe2\x80\xa8"',
    b"[" * 60 + b"]" * 60,
    b'{"a":' * 60 + b"1" + b"}" * 60,
    b'{"a":1,"a":2}',
    b"[1,]",
    b"{,}",
    b"-Infinity",
    b'"2024-02-29T23:59:59.9999999Z"',
    b'"1900-02-29T00:00:00Z"',
    b'"9999-12-31T23:59:59.999999Z"',
    b'"9999-12-31T23:59:59-01:00"',
    b'"0001-01-01T00:00:00+00:01"',
    b'"2025-06-31T00:00:00Z"',
    b'"2025-01-01T00:00:00+23:59"',
    b'"2025-01-01T00:00:00.Z"',
    b'"\xd9\xa2\xd9\xa0\xd9\xa2\xd9\xa5-01-01T00:00:00Z"',
    b"\xd9\xa1",
    b"-9223372036854775808",
    b"253402300800",
    b"-62135596801",
    b"9223372036854775",
)

Mutation = Callable[[Random, bytes, Sequence[bytes]], bytes]


def mutate(chance: Random, records: Sequence[bytes], source: Source) -> list[bytes]:
    """One record out of each, most of them changed once, some twice, a tenth not at all."""
    keys = [f'"{field.name}"'.encode() for field in source.schema.fields]
    made = []
    for record in records:
        for _ in range(chance.choice((0, 1, 1, 1, 1, 1, 1, 2, 2, 3))):
            record = chance.choice(_MUTATIONS)(chance, record, keys)
        made.append(record)
    return made


def _at(chance: Random, record: bytes) -> int:
    return int(chance.random() * (len(record) + 1))


def _overwritten(chance: Random, record: bytes, keys: Sequence[bytes]) -> bytes:
    at = _at(chance, record)
    return record[:at] + bytes((chance.choice(_BYTES),)) + record[at + 1 :]


def _flipped(chance: Random, record: bytes, keys: Sequence[bytes]) -> bytes:
    if not record:
        return record
    at = int(chance.random() * len(record))
    return record[:at] + bytes((record[at] ^ (1 << chance.randrange(8)),)) + record[at + 1 :]


def _inserted(chance: Random, record: bytes, keys: Sequence[bytes]) -> bytes:
    at = _at(chance, record)
    return record[:at] + chance.choice(_NASTY) + record[at:]


def _shortened(chance: Random, record: bytes, keys: Sequence[bytes]) -> bytes:
    at = _at(chance, record)
    return record[:at] + record[at + chance.choice((1, 1, 1, 2, 3, 8)) :]


def _cut(chance: Random, record: bytes, keys: Sequence[bytes]) -> bytes:
    return record[: _at(chance, record)]


def _doubled(chance: Random, record: bytes, keys: Sequence[bytes]) -> bytes:
    a, b = sorted((_at(chance, record), _at(chance, record)))
    return record[:b] + record[a:b] + record[b:]


def _spaced(chance: Random, record: bytes, keys: Sequence[bytes]) -> bytes:
    spots = [match.end() for match in _STRUCTURE.finditer(record)]
    at = chance.choice(spots) if spots else 0
    return record[:at] + chance.choice(_SPACES) + record[at:]


def _another_value(chance: Random, record: bytes, keys: Sequence[bytes]) -> bytes:
    member = _member(chance, record)
    if member is None:
        return record
    return record[: member.start(3)] + chance.choice(_NASTY) + record[member.end(3) :]


def _another_key(chance: Random, record: bytes, keys: Sequence[bytes]) -> bytes:
    member = _member(chance, record)
    if member is None:
        return record
    key = chance.choice((*keys, member[1].swapcase(), b'"\\u0061"', b'""', member[1][:-1] + b' "'))
    return record[: member.start(1)] + key + record[member.end(1) :]


def _more(chance: Random, record: bytes, keys: Sequence[bytes]) -> bytes:
    """A further member: a declared key (so that it may stand twice) or an unknown one."""
    key = chance.choice((*keys, b'"unknown"', b'"un\\u006bnown"', b'"\xff"'))
    return record.replace(b"{", b"{" + key + b":" + chance.choice(_NASTY) + b",", 1)


def _without_member(chance: Random, record: bytes, keys: Sequence[bytes]) -> bytes:
    member = _member(chance, record)
    if member is None:
        return record
    return record[: member.start()].rstrip(b", ") + record[member.end() :]


def _turned(chance: Random, record: bytes, keys: Sequence[bytes]) -> bytes:
    """The members in another order."""
    members = [match[0] for match in _MEMBER.finditer(record)]
    chance.shuffle(members)
    return b"{" + b",".join(members) + b"}"


def _escaped(chance: Random, record: bytes, keys: Sequence[bytes]) -> bytes:
    """One letter inside of a text or key as an escape."""
    spots = [match.start() for match in re.finditer(rb"[A-Za-z]", record)]
    if not spots:
        return record
    at = chance.choice(spots)
    return record[:at] + b"\\u%04x" % record[at] + record[at + 1 :]


def _wrapped(chance: Random, record: bytes, keys: Sequence[bytes]) -> bytes:
    before, behind = chance.choice(
        (
            (b"[", b"]"),
            (b"\xef\xbb\xbf", b""),
            (b" ", b" "),
            (b"", b"\r"),
            (b"", b"\x00"),
            (b"", b"{}"),
            (b"//", b""),
            (b"", b","),
            (b'{"a":', b"}"),
            (b"[" * 3000, b"]" * 3000),
        )
    )
    return before + record + behind


def _recoded(chance: Random, record: bytes, keys: Sequence[bytes]) -> bytes:
    text = record.decode("utf-8", "replace")
    return text.encode(chance.choice(("utf-16", "utf-16-le", "latin-1", "utf-7")), "replace")


def _member(chance: Random, record: bytes) -> re.Match[bytes] | None:
    members = list(_MEMBER.finditer(record))
    return chance.choice(members) if members else None


_MUTATIONS: tuple[Mutation, ...] = (
    *(_overwritten, _flipped, _inserted, _shortened, _cut, _doubled, _spaced),
    *(_another_value,) * 6,
    *(_another_key, _more, _more, _without_member, _turned, _escaped, _wrapped, _recoded),
)


def spoilt(chance: Random, content: bytes) -> bytes:
    """A file with bytes overwritten, pieces moved, or its end torn off; now and then whole."""
    for _ in range(chance.choice((0, 1, 1, 2, 5))):
        a, b = sorted((_at(chance, content), _at(chance, content)))
        b = min(b, a + chance.choice((1, 4, 100, 5000)))
        before, piece, behind = content[:a], content[a:b], content[b:]
        content = chance.choice(
            (
                before + bytes((chance.choice(_BYTES),)) + content[a + 1 :],
                before + chance.choice(_NASTY) + content[a:],
                before + behind,
                before + piece + piece + behind,
                before + piece,
                before + piece.replace(b"\n", b"\r\n") + behind,
                before + piece.replace(b"\n", b"\r") + behind,
                before + b"\x00" * len(piece) + behind,
                before + b'"' + content[a:],
            )
        )
    return content
