"""Arrow rows as PostgreSQL's binary COPY stream, whole columns at a time.

A row is its number of fields and then per field a length and that many bytes, all big-endian
(https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format"). Every column becomes an
array of such cells; Arrow joins them row by row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from headrace.storage.outbound.json_values import rows_to_json
from headrace.storage.postgres.types import OIDS, Kind, Wire

HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
TRAILER = b"\xff\xff"
_PIECE_BYTES = 8 << 20
_PIECE_ROWS = 65_536
EPOCH_DAYS = 10_957  # 2000-01-01, from which PostgreSQL counts
EPOCH_US = EPOCH_DAYS * 86_400_000_000

# A part of a row: bytes of one width for all rows (rows, width), or of any length.
Block: TypeAlias = npt.NDArray[np.uint8]
Part: TypeAlias = Block | pa.LargeBinaryArray


def copy_stream(
    rows: pa.Table, kinds: Sequence[Kind], connection: duckdb.DuckDBPyConnection
) -> Iterator[memoryview | bytes]:
    """The stream for `rows`, whose columns are of `kinds`, in pieces of some megabytes."""
    yield HEADER
    each = max(1, rows.nbytes // max(1, rows.num_rows))
    step = min(_PIECE_ROWS, max(1, _PIECE_BYTES // each))
    for start in range(0, rows.num_rows, step):
        yield _encoded(rows.slice(start, step), kinds, connection)
    yield TRAILER


def _encoded(
    rows: pa.Table, kinds: Sequence[Kind], connection: duckdb.DuckDBPyConnection
) -> memoryview:
    count = np.full(rows.num_rows, len(kinds), ">i2").view(np.uint8).reshape(-1, 2)
    parts: list[Part] = [count]
    for column, kind in zip(rows.columns, kinds, strict=True):
        parts += _cells(_plain(column, kind, connection), kind)
    return _content(_joined(parts))


def _plain(column: pa.ChunkedArray, kind: Kind, connection: duckdb.DuckDBPyConnection) -> pa.Array:
    """The column as one array, as text where it travels as text."""
    if kind.json:
        return _json(column)
    whole = column.combine_chunks()
    array = whole.chunk(0) if isinstance(whole, pa.ChunkedArray) else whole
    if pa.types.is_interval(array.type):
        named = pa.table({"x": array})
        relation = connection.from_arrow(named).project("x::varchar as x")
        array = relation.to_arrow_table().column("x").combine_chunks()
    return array


def _json(column: pa.ChunkedArray) -> pa.Array:
    objects = rows_to_json(pa.table({"x": column})).cast(pa.binary())
    values = pc.binary_slice(objects, len(b'{"x":'), -1)
    return pc.if_else(column.combine_chunks().is_valid(), values, None)


def _cells(array: pa.Array, kind: Kind) -> list[Part]:
    if kind.array:
        return _varying(_array_bodies(array, kind.wire))
    if kind.wire in ("text", "bytea"):
        return _varying(_bytes(array))
    return [_fixed_cells(array, kind.wire)]


def _varying(values: pa.LargeBinaryArray) -> list[Part]:
    """Length and content of each value; null is the length -1."""
    lengths = pc.fill_null(pc.binary_length(values), -1).to_numpy().astype(">i4")
    filled = values.fill_null(b"") if values.null_count else values
    return [lengths.view(np.uint8).reshape(-1, 4), filled]


def _bytes(array: pa.Array) -> pa.LargeBinaryArray:
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if not _is_bytes(array.type):
        array = array.cast(pa.string())
    return array.cast(pa.large_binary())


def _is_bytes(type_: pa.DataType) -> bool:
    return bool(
        pa.types.is_binary(type_)
        or pa.types.is_large_binary(type_)
        or pa.types.is_fixed_size_binary(type_)
    )


def _fixed_cells(array: pa.Array, wire: Wire) -> Part:
    values = _values(array, wire)
    width = values.dtype.itemsize
    block = np.empty((len(values), 4 + width), np.uint8)
    block[:, :4] = np.array([width], ">i4").view(np.uint8)
    block[:, 4:] = values.view(np.uint8).reshape(-1, width)
    if not array.null_count:
        return block
    # A null has a length, -1, and nothing behind it.
    valid = array.is_valid().to_numpy(zero_copy_only=False)
    block[~valid, :4] = 0xFF
    kept = np.ones(block.shape, bool)
    kept[~valid, 4:] = False
    return _binary(block[kept], np.concatenate([[0], np.cumsum(4 + width * valid)]))


def _values(array: pa.Array, wire: Wire) -> npt.NDArray[Any]:
    """The values in PostgreSQL's form, big-endian; anything where the array is null."""
    match wire:
        case "boolean":
            return _numbers(array.cast(pa.uint8()))
        case "smallint":
            return _numbers(array.cast(pa.int16())).astype(">i2")
        case "integer":
            return _numbers(array.cast(pa.int32())).astype(">i4")
        case "bigint":
            return _numbers(array.cast(pa.int64())).astype(">i8")
        case "real":
            return _numbers(array.cast(pa.float32())).astype(">f4")
        case "double precision":
            return _numbers(array.cast(pa.float64())).astype(">f8")
        case "date":
            days = _numbers(array.cast(pa.date32()).view(pa.int32()))
            return _since_2000(days, EPOCH_DAYS).astype(">i4")
        case "time without time zone":
            return _numbers(array.cast(pa.time64("us")).view(pa.int64())).astype(">i8")
        case _:
            us = _numbers(_microseconds(array))
            return _since_2000(us, EPOCH_US).astype(">i8")


def _numbers(array: pa.Array) -> npt.NDArray[Any]:
    filled = array.fill_null(0) if array.null_count else array
    numbers: npt.NDArray[Any] = filled.to_numpy(zero_copy_only=False)
    return numbers


def _microseconds(array: pa.Array) -> pa.Array:
    zone = array.type.tz
    return array.cast(pa.timestamp("us", tz=zone)).view(pa.int64())


def _since_2000(values: npt.NDArray[Any], epoch: int) -> npt.NDArray[Any]:
    """Counted from 2000; DuckDB's infinities (±the greatest number) become PostgreSQL's."""
    bounds = np.iinfo(values.dtype)
    moved = values - values.dtype.type(epoch)
    # Below the least number there is no time in PostgreSQL either: it must not wrap around.
    moved[values < bounds.min + epoch] = bounds.min + 1
    moved[values == bounds.max] = bounds.max
    moved[values == -bounds.max] = bounds.min
    result: npt.NDArray[Any] = moved
    return result


def _array_bodies(array: pa.Array, wire: Wire) -> pa.LargeBinaryArray:
    """The content of one-dimensional arrays: a head, then the elements' cells."""
    if pa.types.is_fixed_size_list(array.type):
        array = array.cast(pa.large_list(array.type.value_type))
    bounds = array.offsets.to_numpy().astype(np.int64)
    items = array.values.slice(bounds[0], bounds[-1] - bounds[0])
    cells = _joined(_cells(items, Kind(wire, wire)))
    ends = _offsets(cells)[bounds - bounds[0]]
    content = _binary(np.frombuffer(_content(cells), np.uint8), ends - ends[0])
    counts = np.diff(bounds)
    head = np.empty((len(counts), 5), ">i4")
    head[:, 0], head[:, 1], head[:, 2] = 1, int(items.null_count > 0), OIDS[wire]
    head[:, 3], head[:, 4] = counts, 1
    empty = _binary(
        np.tile(np.array([0, 0, OIDS[wire]], ">i4").view(np.uint8), len(counts)),
        np.arange(len(counts) + 1) * 12,
    )
    whole = _joined([head.view(np.uint8).reshape(-1, 20), content])
    filled = pc.if_else(pa.array(counts > 0), whole, empty)
    return pc.if_else(array.is_valid(), filled, None) if array.null_count else filled


def _joined(parts: Sequence[Part]) -> pa.LargeBinaryArray:
    """The parts of each row one after the other; neighbours of fixed width are joined first."""
    arrays: list[pa.LargeBinaryArray] = []
    blocks: list[Block] = []
    for part in [*parts, None]:
        if isinstance(part, np.ndarray):
            blocks.append(part)
            continue
        if blocks:
            block = np.concatenate(blocks, axis=1) if len(blocks) > 1 else blocks[0]
            rows, width = block.shape
            arrays.append(_binary(block.reshape(-1), np.arange(rows + 1) * width))
            blocks = []
        if part is not None:
            arrays.append(part)
    if len(arrays) == 1:
        return arrays[0]
    nothing = pa.scalar(b"", pa.large_binary())
    return pc.binary_join_element_wise(*arrays, nothing)


def _binary(content: Block, ends: npt.NDArray[np.int64]) -> pa.LargeBinaryArray:
    """An array of the pieces of `content` between `ends` (which begin with 0)."""
    offsets = pa.py_buffer(np.ascontiguousarray(ends, np.int64))
    data = pa.py_buffer(np.ascontiguousarray(content))
    return pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(ends) - 1, [None, offsets, data])


def _offsets(array: pa.LargeBinaryArray) -> npt.NDArray[np.int64]:
    offsets = np.frombuffer(array.buffers()[1], np.int64)
    return offsets[array.offset : array.offset + len(array) + 1]


def _content(array: pa.LargeBinaryArray) -> memoryview:
    """The bytes of all values in a row; the array has no nulls."""
    ends = _offsets(array)
    data = array.buffers()[2]
    return memoryview(data)[ends[0] : ends[-1]] if data is not None else memoryview(b"")
