"""The rows of a frame as the pieces of its body: large ones are those of the rows, uncopied.

A body is one record batch, whose values lie in one piece; rows that were put together from several
places lie in many. So Arrow is given an array whose content is a hole of the right size, which it
hands on without a look, and the pieces take the place of the hole where the body is written.
"""

from __future__ import annotations

import io
import mmap
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from headrace.storage.chunks import one_array

Piece: TypeAlias = pa.Buffer | bytes


def encode_rows(rows: pa.Table) -> list[Piece]:
    """The body of a frame that holds `rows`, in pieces."""
    columns, filled = [], dict[int, list[pa.Buffer]]()
    for column in rows.columns:
        if column.type == pa.binary() and column.num_chunks > 1 and not column.null_count:
            array, hole, pieces = _joined(column)
            columns.append(array)
            filled[hole] = pieces
        else:
            columns.append(one_array(column))
    sink = _Pieces()
    batch = pa.record_batch(columns, schema=rows.schema)
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return [
        part
        for piece in sink.pieces
        for part in (
            filled.get(piece.address, [piece]) if isinstance(piece, pa.Buffer) else [piece]
        )
    ]


def _joined(column: pa.ChunkedArray) -> tuple[pa.Array, int, list[pa.Buffer]]:
    """`column` as one array around a hole, where that lies, and the pieces that fill it."""
    offsets = np.zeros(len(column) + 1, np.int32)
    pieces, row, at = [], 0, 0
    for chunk in filter(len, column.chunks):
        _, ends, content = chunk.buffers()
        mine = np.frombuffer(ends, np.int32)[chunk.offset :][: len(chunk) + 1]
        size = int(mine[-1] - mine[0])
        np.add(mine[1:], at - mine[0], out=offsets[row + 1 :][: len(chunk)])
        if size:
            pieces.append(content.slice(int(mine[0]), size))
        row, at = row + len(chunk), at + size
    # Of its own mapping: nothing else lies there, and no page of it is ever touched.
    hole = pa.py_buffer(mmap.mmap(-1, max(at, 1))).slice(0, at)
    array = pa.Array.from_buffers(
        pa.binary(), len(column), [None, pa.py_buffer(offsets), hole], null_count=0
    )
    return array, hole.address, pieces


class _Pieces(io.RawIOBase):
    """A file that keeps what is written to it, without a copy of what Arrow hands over whole."""

    def __init__(self) -> None:
        self.pieces: list[Piece] = []

    def writable(self) -> bool:
        return True

    def write(self, piece: Any) -> int:
        self.pieces.append(piece)
        return len(piece)
