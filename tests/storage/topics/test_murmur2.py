"""The hash against Kafka's own vectors, and against murmur2 written out in plain Python."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.storage.topics.murmur2 import murmur2, partitions_of

# org.apache.kafka.common.utils.UtilsTest.testMurmur2
VECTORS = {
    b"21": -973932308,
    b"foobar": -790332482,
    b"a-little-bit-long-string": -985981536,
    b"a-little-bit-longer-string": -1486304829,
    b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    b"abc": 479470107,
}


def plain_murmur2(data: bytes) -> int:
    mask = 0xFFFFFFFF
    h = 0x9747B28C ^ len(data)
    for i in range(len(data) // 4):
        k = int.from_bytes(data[4 * i : 4 * i + 4], "little")
        k = k * 0x5BD1E995 & mask
        k ^= k >> 24
        k = k * 0x5BD1E995 & mask
        h = (h * 0x5BD1E995 & mask) ^ k
    rest = data[len(data) // 4 * 4 :]
    if rest:
        h ^= int.from_bytes(rest, "little")
        h = h * 0x5BD1E995 & mask
    h ^= h >> 13
    h = h * 0x5BD1E995 & mask
    return h ^ h >> 15


def plain_partition(key: bytes | None, count: int) -> int:
    return -1 if key is None else (plain_murmur2(key) & 0x7FFFFFFF) % count


@pytest.mark.parametrize(("key", "expected"), VECTORS.items())
def test_kafkas_vectors(key: bytes, expected: int) -> None:
    assert murmur2(pa.array([key])).astype(np.int32).tolist() == [expected]
    assert plain_murmur2(key) == expected & 0xFFFFFFFF


def test_kafkas_vectors_together() -> None:
    hashes = murmur2(pa.array(list(VECTORS))).astype(np.int32)
    assert hashes.tolist() == list(VECTORS.values())


@given(st.lists(st.none() | st.binary(max_size=40)), st.integers(1, 100), st.integers(0, 3))
def test_partitions_are_kafkas(keys: list[bytes | None], count: int, skip: int) -> None:
    column = pa.array([b"before"] * skip + keys, pa.binary()).slice(skip)
    assert partitions_of(column, count).tolist() == [plain_partition(k, count) for k in keys]


def test_empty_and_all_null() -> None:
    assert partitions_of(pa.array([], pa.binary()), 3).dtype == np.int32
    assert partitions_of(pa.nulls(2, pa.binary()), 3).tolist() == [-1, -1]
    assert partitions_of(pa.array([b""]), 7).tolist() == [plain_partition(b"", 7)]
