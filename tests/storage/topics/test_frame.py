"""A frame read back is what was written; one changed byte anywhere is noticed."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.storage.topics import frame
from headrace.storage.topics.body import encode_rows

SEED = 0x1234567890ABCDEF


def whole(note: object = None, values: list[bytes | None] | None = None) -> bytes:
    batch = pa.record_batch(
        [pa.nulls(3, pa.binary()), pa.array(values or [b"a", None, b"ccc"], pa.binary())],
        names=["key", "value"],
    )
    pieces = frame.encode(
        frame.ROWS,
        (3, 640),
        1_700_000_000_000_000,
        (np.array([10, 20]), np.array([1, 2])),
        encode_rows(pa.Table.from_batches([batch])),
        seed=SEED,
        origin=frame.Origin("p", 7, {"note": note}),
    )
    return b"".join(bytes(piece) for piece in pieces)


@pytest.mark.parametrize("note_length", [0, 1, 63, 64, 1000])
def test_round_trip(note_length: int) -> None:
    content = whole("n" * note_length)
    assert len(content) % frame.ALIGNMENT == 0 and frame.holds(content, SEED)
    header = frame.parse_header(content, 2)
    assert header is not None and header.body_at % frame.ALIGNMENT == 0
    assert (header.length, header.segment, header.position) == (len(content), 3, 640)
    assert (header.base.tolist(), header.counts.tolist()) == ([10, 20], [1, 2])
    assert frame.origin_of(content, header) == frame.Origin("p", 7, {"note": "n" * note_length})
    rows = frame.decode_rows(pa.py_buffer(content))
    assert rows.column("value").to_pylist() == [b"a", None, b"ccc"]


def test_decoding_copies_nothing() -> None:
    buffer = pa.py_buffer(whole())
    data = frame.decode_rows(buffer).column("value").buffers()[2]
    assert buffer.address <= data.address < buffer.address + buffer.size


@given(st.data())
def test_a_changed_byte_is_noticed(data: st.DataObject) -> None:
    content = bytearray(whole())
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= data.draw(st.integers(1, 255))
    assert not frame.holds(bytes(content), SEED)


def test_frames_of_another_topic_do_not_hold() -> None:
    assert not frame.holds(whole(), SEED + 1)


@given(st.binary(max_size=200))
def test_other_bytes_are_no_header(content: bytes) -> None:
    assert frame.parse_header(content, 2) is None
