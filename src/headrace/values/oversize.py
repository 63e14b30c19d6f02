"""How a value above a source's size limit stands in a topic: its beginning and what it was.

Whoever appends such a value keeps the first 64 KiB and adds a mark behind a NUL byte. No JSON
text contains a bare NUL byte, so such a value is never accepted as an event by mistake; the
reader finds the mark and makes it the reason of the dead letter.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

KEPT_BYTES = 64 << 10
MARK_BEGIN = b"\x00headrace: cut from "
_MARK = MARK_BEGIN + b"%d bytes, xxh3_128 %s"
_PATTERN = re.compile(rb"\x00headrace: cut from (\d{1,19}) bytes, xxh3_128 ([0-9a-f]{32})\Z")
# Longest possible mark: 19 digits and 32 hexadecimal ones.
MARK_BYTES_MAX = len(_MARK) - 4 + 19 + 32


@dataclass(frozen=True)
class Oversize:
    """What a cut value was: its length in bytes and the XXH3-128 of all of it, in hex."""

    bytes: int
    digest: str


def cut(beginning: bytes, original: Oversize) -> bytes:
    """The value to append for one that is too large; `beginning` is at least its first 64 KiB."""
    return beginning[:KEPT_BYTES] + _MARK % (original.bytes, original.digest.encode())


def oversize_of(value: bytes) -> Oversize | None:
    """What `value` was before it was cut; None if it was not.

    >>> oversize_of(cut(b"[1, 1", Oversize(2_000_000, "0" * 32))).bytes
    2000000
    """
    found = _PATTERN.search(value, max(0, len(value) - MARK_BYTES_MAX))
    return None if found is None else Oversize(int(found[1]), found[2].decode())
