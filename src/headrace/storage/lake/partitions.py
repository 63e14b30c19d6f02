"""Rows split by the values of the partition columns, and how a value is written in a path."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime
from functools import reduce
from typing import Any
from urllib.parse import quote

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from headrace.storage.chunks import one_array
from headrace.storage.lake.columns import decoded

NULL_DIRECTORY = "__HIVE_DEFAULT_PARTITION__"
_NAME_BYTES_MAX = 200
_FILTERED_MAX = 4

Values = tuple[Any, ...]
Codes = npt.NDArray[np.int64]


def split(rows: pa.Table, columns: tuple[str, ...]) -> Iterator[tuple[Values, pa.Table]]:
    """`rows` as one table for each combination of values in `columns`, order kept within.

    Rows of a single combination are handed on without a copy.
    """
    if not rows.num_rows:
        return
    encoded = [
        pc.dictionary_encode(_values(rows[name]), null_encoding="encode") for name in columns
    ]
    if all(len(e.dictionary) == 1 for e in encoded):
        yield tuple(e.dictionary[0].as_py() for e in encoded), rows
        return
    codes = reduce(_combine, encoded, np.zeros(rows.num_rows, np.int64))
    for row, part in _parts(rows, codes):
        yield tuple(e.dictionary[e.indices[row].as_py()].as_py() for e in encoded), part


def _values(column: pa.ChunkedArray) -> pa.Array:
    # What is a dictionary already would keep values that no row has.
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    return one_array(column)


def _combine(codes: Codes, encoded: pa.DictionaryArray) -> Codes:
    # Renumbered after each column, so that many columns cannot overflow the product.
    product = codes * len(encoded.dictionary) + encoded.indices.to_numpy()
    return np.unique(product, return_inverse=True)[1]


def _parts(rows: pa.Table, codes: Codes) -> Iterator[tuple[int, pa.Table]]:
    """The rows of each code, with the number of the first of them.

    Of many codes the values' types stand in place of dictionaries.
    """
    found, first, counts = np.unique(codes, return_index=True, return_counts=True)
    if len(found) <= _FILTERED_MAX:
        for code, row in zip(found, first, strict=True):
            yield int(row), rows.filter(pa.array(codes == code))
        return
    # Its chunks become one, and a dictionary of all their values may need a larger index.
    plain = rows.cast(decoded(rows.schema))
    ordered = plain.take(pa.array(np.argsort(codes, kind="stable")))
    starts = np.cumsum(counts) - counts
    for row, start, count in zip(first, starts, counts, strict=True):
        yield int(row), ordered.slice(int(start), int(count))


def value_text(value: Any) -> str | None:
    """A partition value as Delta writes it; the empty string is null there."""
    if value is None or value == "":
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S.%f")
    return str(value)


def directory_name(column: str, text: str | None) -> str:
    """The directory of a partition: `event_date=2026-01-01`, odd characters as %XX.

    Nobody reads the value from it (it stands in the table's log), so one too long for a file
    name is cut and gets a hash.
    """
    escaped = NULL_DIRECTORY if text is None else quote(text, safe=" ")
    name = f"{quote(column, safe=' ')}={escaped}"
    if len(name) > _NAME_BYTES_MAX:
        digest = hashlib.blake2b(name.encode(), digest_size=8).hexdigest()
        name = f"{name[: _NAME_BYTES_MAX - 17]}~{digest}"
    return name
