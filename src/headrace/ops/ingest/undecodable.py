"""Bytes that are no UTF-8, written as characters of the private use area, and back.

Arrow's CSV reader hands a row of too many or too few cells over as text, and breaks off where its
bytes are none.
"""

from __future__ import annotations

import re

import pyarrow as pa
import pyarrow.compute as pc

# U+10F080 stands for the byte 0x80, and so on up to U+10F0FF, which is written f4 8f 83 bf.
_BASE = 0x10F000
_BEGIN = b"\xf4\x8f"
_UNDECODABLE = re.compile("[\udc80-\udcff\U0010f080-\U0010f0ff]")
_WRITTEN = re.compile(rb"\xf4\x8f[\x82\x83][\x80-\xbf]")


def as_characters(text: bytes) -> bytes:
    """`text` as UTF-8: what is none, and what looks like this very writing, byte by byte."""
    try:
        text.decode()
    except UnicodeDecodeError:
        pass
    else:
        if _BEGIN not in text:
            return text

    def written(found: re.Match[str]) -> str:
        return "".join(chr(_BASE + byte) for byte in found[0].encode(errors="surrogateescape"))

    return _UNDECODABLE.sub(written, text.decode(errors="surrogateescape")).encode()


def as_bytes(text: bytes | bytearray) -> bytes:
    """What `as_characters` was given."""
    return _WRITTEN.sub(lambda found: bytes([ord(found[0].decode()) - _BASE]), bytes(text))


def cells_as_bytes(table: pa.Table) -> pa.Table:
    """`table`, of binary columns that were cut from what `as_characters` gave."""
    for index, name in enumerate(table.column_names):
        column = table.column(index)
        if pc.any(pc.match_substring(column, _BEGIN)).as_py():
            cells = [cell and as_bytes(cell) for cell in column.to_pylist()]
            table = table.set_column(index, name, pa.array(cells, pa.binary()))
    return table
