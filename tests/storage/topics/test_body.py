"""A body in pieces holds the rows, however these are cut, and large pieces are not copies."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from headrace.storage.topics.body import encode_rows
from headrace.storage.topics.frame import PLAIN

VALUES = st.lists(st.one_of(st.none(), st.binary(max_size=80)), max_size=12)


def column(parts: list[list[bytes | None]], skip: int) -> pa.ChunkedArray:
    """Parts as chunks, each cut out of a longer array."""
    chunks = [pa.array([b"before"] * skip + p + [b"behind"], pa.binary()) for p in parts]
    return pa.chunked_array([c[skip:-1] for c in chunks], pa.binary())


@given(st.lists(st.tuples(VALUES, st.booleans()), max_size=5), st.integers(0, 3))
def test_the_same_rows(drawn: list[tuple[list[bytes | None], bool]], skip: int) -> None:
    values = [[v or b"" for v in p] if filled else p for p, filled in drawn]
    keys = [p[::-1] for p in values]
    rows = pa.table([column(keys, skip), column(values, skip)], schema=PLAIN)
    flat = [pa.array([v for p in c for v in p], pa.binary()) for c in (keys, values)]
    body = b"".join(bytes(memoryview(piece)) for piece in encode_rows(rows))
    read = pa.ipc.open_stream(body).read_next_batch()
    assert read.equals(pa.record_batch(flat, schema=PLAIN))
    read.validate(full=True)


def test_large_pieces_are_those_of_the_rows() -> None:
    chunks = [pa.array([bytes([n]) * 100_000] * 10) for n in range(3)]
    rows = pa.table([pa.nulls(30, pa.binary()), pa.chunked_array(chunks)], schema=PLAIN)
    large = [p for p in encode_rows(rows) if len(p) > 10_000]
    assert [p.address for p in large] == [c.buffers()[2].address for c in chunks]
