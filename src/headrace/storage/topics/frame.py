"""A frame: all rows of one append, whole or absent.

Layout, little-endian, a multiple of 64 bytes long and beginning at one:

    checksum    u64   XXH3-64 of everything after it, seeded by the topic's identity
    magic       4s    "HRF1"
    kind        u32   0 rows, 1 checkpoint (the first frame of a segment)
    length      u64   of the whole frame
    segment     u64   where the frame lies, so that bytes copied from elsewhere are never
    position    u64   taken for a frame
    arrival_us  i64
    sequence    i64   the producer's last number after this frame
    body_at     u32   where the body begins inside the frame
    meta_length u32
    base        i64 * partitions   the first offset of each partition's rows
    counts      i64 * partitions   the number of each partition's rows
    meta        JSON: {"producer": …, "note": …} or empty
    body        Arrow IPC stream of one record batch, rows grouped by partition in order;
                in a checkpoint JSON, the producers so far
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xxhash

ALIGNMENT = 64
MAGIC = b"HRF1"
MAGIC_AT = 8
ROWS, CHECKPOINT = 0, 1
_FIXED = struct.Struct("<Q4sIQQQqqII")
FIXED_SIZE = _FIXED.size
_BODY_AT = struct.Struct("<56xI")
PLAIN = pa.schema([pa.field("key", pa.binary()), pa.field("value", pa.binary())])
_PLAIN_START = PLAIN.serialize()


@dataclass(frozen=True)
class Header:
    """What a frame says of itself; `base` and `counts` are int64 by partition."""

    kind: int
    length: int
    segment: int
    position: int
    arrival_us: int
    sequence: int
    base: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64]
    body_at: int
    meta_at: int
    meta_length: int


@dataclass(frozen=True)
class Origin:
    """Who appended a frame: the producer, its last number after it and the note it left."""

    producer: str
    sequence: int
    note: Mapping[str, Any] | None


def seed_of(identity: str) -> int:
    """The checksum's seed of a topic: frames of another topic never verify here."""
    return int(identity[:16], 16)


def encode(
    kind: int,
    place: tuple[int, int],
    arrival_us: int,
    rows: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]],
    body: Sequence[pa.Buffer | bytes],
    *,
    seed: int,
    origin: Origin | None = None,
) -> list[bytes | bytearray | memoryview]:
    """The pieces of a frame to be written one behind the other at `place` (segment, position).

    `rows` are the base offsets and counts by partition; `body` comes in pieces too.
    """
    meta = b""
    if origin is not None:
        meta = json.dumps({"producer": origin.producer, "note": origin.note}).encode()
    head_size = header_size(len(rows[0])) + len(meta)
    body_at = _aligned(head_size)
    body_size = sum(len(piece) for piece in body)
    length = _aligned(body_at + body_size)
    head = bytearray(body_at)
    _FIXED.pack_into(
        head,
        0,
        0,
        MAGIC,
        kind,
        length,
        *place,
        arrival_us,
        -1 if origin is None else origin.sequence,
        body_at,
        len(meta),
    )
    head[FIXED_SIZE:head_size] = rows[0].tobytes() + rows[1].tobytes() + meta
    tail = bytes(length - body_at - body_size)
    checksum = xxhash.xxh3_64(memoryview(head)[8:], seed=seed)
    for piece in (*body, tail):
        checksum.update(piece)
    struct.pack_into("<Q", head, 0, checksum.intdigest())
    return [head, *(memoryview(piece) for piece in body), tail]


def header_size(partitions: int) -> int:
    """Bytes of a frame before its meta."""
    return FIXED_SIZE + 16 * partitions


def parse_header(content: bytes | memoryview, partitions: int) -> Header | None:
    """The header at the beginning of `content`; None when it cannot be one. Proves nothing yet."""
    if len(content) < header_size(partitions):
        return None
    _, magic, kind, length, segment, position, arrival_us, sequence, body_at, meta_length = (
        _FIXED.unpack_from(content)
    )
    meta_at = header_size(partitions)
    sound = meta_at + meta_length <= body_at <= length and length % ALIGNMENT == 0
    if magic != MAGIC or kind not in (ROWS, CHECKPOINT) or not sound:
        return None
    offsets = np.frombuffer(content, "<i8", 2 * partitions, FIXED_SIZE)
    return Header(
        kind,
        length,
        segment,
        position,
        arrival_us,
        sequence,
        offsets[:partitions],
        offsets[partitions:],
        body_at,
        meta_at,
        meta_length,
    )


def holds(content: memoryview | bytes, seed: int) -> bool:
    """Whether the checksum of a whole frame is right."""
    stored: int = struct.unpack_from("<Q", content)[0]
    return stored == xxhash.xxh3_64_intdigest(memoryview(content)[8:], seed)


def origin_of(content: bytes | memoryview, header: Header) -> Origin | None:
    """Who appended the frame; `content` reaches at least to the end of its meta."""
    if header.meta_length == 0:
        return None
    meta = json.loads(bytes(content[header.meta_at : header.meta_at + header.meta_length]))
    return Origin(meta["producer"], header.sequence, meta["note"])


def decode_rows(content: pa.Buffer) -> pa.RecordBatch:
    """The rows of a whole frame; shares its memory."""
    body = content.slice(_BODY_AT.unpack_from(content)[0])
    # Nearly all bodies begin with the same schema: reading past it halves the cost of a frame.
    if body.slice(0, _PLAIN_START.size).equals(_PLAIN_START):
        return pa.ipc.read_record_batch(body.slice(_PLAIN_START.size), PLAIN)
    return pa.ipc.open_stream(body).read_next_batch()


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
