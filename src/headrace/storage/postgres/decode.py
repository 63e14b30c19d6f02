"""PostgreSQL's binary COPY stream as Arrow record batches, whole columns at a time.

The client library hands over one message per row; a piece of them is joined, and every column is
cut out of the whole by arithmetic on positions. What has no simple binary form comes as text and
is cast to its DuckDB type by DuckDB.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeAlias

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from headrace.storage.postgres.encode import EPOCH_DAYS, EPOCH_US, HEADER, TRAILER
from headrace.storage.postgres.types import Kind, Wire
from headrace.values.schema import quote

PIECE_ROWS = 65_536
_FIRST_ROWS = 1024
_PIECE_BYTES = 16 << 20

Bytes: TypeAlias = npt.NDArray[np.uint8]
Positions: TypeAlias = npt.NDArray[np.int64]

_FIXED: dict[Wire, tuple[str, pa.DataType]] = {
    "boolean": ("u1", pa.bool_()),
    "smallint": (">i2", pa.int16()),
    "integer": (">i4", pa.int32()),
    "bigint": (">i8", pa.int64()),
    "real": (">f4", pa.float32()),
    "double precision": (">f8", pa.float64()),
    "date": (">i4", pa.date32()),
    "time without time zone": (">i8", pa.time64("us")),
    "timestamp with time zone": (">i8", pa.timestamp("us")),
}


def selected(name: str, kind: Kind) -> str:
    """SQL that selects a column in the form that `batches` reads."""
    if kind.array or kind.json:
        return f"to_jsonb({quote(name)})::text"
    if kind.wire == "bytea":
        return quote(name)
    return f"{quote(name)}::{kind.wire}"


class Decoder:
    """Makes record batches of columns (name, DuckDB type), each of its kind."""

    def __init__(self, columns: Sequence[tuple[str, str]], kinds: Sequence[Kind]) -> None:
        self._columns, self._kinds = columns, kinds
        self._connection = duckdb.connect(config={"threads": 1})
        listed = ", ".join(f"null::{type_} as {quote(name)}" for name, type_ in columns)
        empty = self._connection.sql(f"select {listed} limit 0")
        self.schema: pa.Schema = empty.to_arrow_table().schema
        self._casts = ", ".join(
            f"{quote(name)}{'::json' if kind.array or kind.json else ''}::{type_} as {quote(name)}"
            for (name, type_), kind in zip(columns, kinds, strict=True)
        )

    def batches(self, messages: Iterable[bytes | memoryview]) -> Iterator[pa.RecordBatch]:
        """The rows of a COPY in pieces of some megabytes."""
        each = iter(messages)
        piece = _without_head(list(islice(each, min(_FIRST_ROWS, PIECE_ROWS))))
        while piece:
            if len(piece[-1]) == len(TRAILER):
                piece.pop()
            if not piece:
                return
            yield from self._decoded(piece).to_batches()
            bytes_each = sum(map(len, piece)) // len(piece)
            piece = list(islice(each, min(PIECE_ROWS, max(1, _PIECE_BYTES // bytes_each))))

    def _decoded(self, piece: list[bytes | memoryview]) -> pa.Table:
        content = np.frombuffer(b"".join(piece), np.uint8)
        lengths = np.fromiter(map(len, piece), np.int64, len(piece))
        positions = np.cumsum(lengths) - lengths + 2  # behind the number of fields
        arrays = []
        for kind in self._kinds:
            lengths = _gathered(content, positions, ">i4").astype(np.int64)
            positions = positions + 4
            valid = lengths >= 0
            arrays.append(_column(content, positions, lengths, valid, kind))
            positions = positions + np.where(valid, lengths, 0)
        table = pa.table(arrays, names=[name for name, _ in self._columns])
        if table.schema.types == self.schema.types:
            return table.cast(self.schema)
        return self._cast(table)

    def _cast(self, table: pa.Table) -> pa.Table:
        relation = self._connection.from_arrow(table).project(self._casts)
        return relation.to_arrow_table().cast(self.schema)


def _without_head(piece: list[bytes | memoryview]) -> list[bytes | memoryview]:
    """The first messages without the head, which comes alone or before the first row."""
    first = bytes(piece[0])[len(HEADER) :]
    return [first, *piece[1:]] if first else piece[1:]


def _gathered(content: Bytes, positions: Positions, form: str) -> npt.NDArray[Any]:
    """The values that begin at `positions`; those beyond the end are read at the end."""
    width = np.dtype(form).itemsize
    begins = np.minimum(positions, len(content) - width)
    return content[begins[:, None] + np.arange(width)].view(form).reshape(-1)


def _column(
    content: Bytes,
    positions: Positions,
    lengths: Positions,
    valid: npt.NDArray[np.bool_],
    kind: Kind,
) -> pa.Array:
    if kind.array or kind.json or kind.wire in ("text", "bytea"):
        type_ = pa.binary() if kind.wire == "bytea" and not kind.array else pa.string()
        return _cut(content, positions, np.where(valid, lengths, 0), valid).cast(type_)
    form, type_ = _FIXED[kind.wire]
    values = _gathered(content, positions, form)
    native = values.astype(values.dtype.newbyteorder("="))
    null = None if valid.all() else ~valid
    if kind.wire == "boolean":
        return pa.array(native.astype(bool), type_, mask=null)
    if kind.wire == "date":
        native = _since_1970(native, EPOCH_DAYS)
    elif kind.wire == "timestamp with time zone":
        native = _since_1970(native, EPOCH_US)
    plain = pa.array(native, mask=null)
    return plain if plain.type == type_ else plain.view(type_)


def _since_1970(values: npt.NDArray[Any], epoch: int) -> npt.NDArray[Any]:
    """Counted from 1970; PostgreSQL's infinities become DuckDB's."""
    bounds = np.iinfo(values.dtype)
    moved = values + values.dtype.type(epoch)
    moved[values == bounds.max] = bounds.max
    moved[values == bounds.min] = -bounds.max
    result: npt.NDArray[Any] = moved
    return result


def _cut(
    content: Bytes, positions: Positions, lengths: Positions, valid: npt.NDArray[np.bool_]
) -> pa.Array:
    """The pieces of `content`: every second element of an array of pieces and what is between."""
    bounds = np.empty(2 * len(positions) + 1, np.int64)
    bounds[:-1:2] = positions
    bounds[1::2] = positions + lengths
    bounds[-1] = bounds[-2]
    every = pa.LargeBinaryArray.from_buffers(
        pa.large_binary(),
        2 * len(positions),
        [None, pa.py_buffer(bounds), pa.py_buffer(content)],
    )
    wanted = pa.array(np.arange(0, 2 * len(positions), 2), mask=None if valid.all() else ~valid)
    return every.take(wanted)
