"""Kafka's murmur2 over a column of keys, so that a key lands where Kafka would put it.

The same rule as `org.apache.kafka.common.utils.Utils.murmur2` and the default partitioner.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

_SEED = 0x9747B28C
_M = np.uint32(0x5BD1E995)
_R = np.uint32(24)


def partitions_of(keys: pa.Array, count: int) -> npt.NDArray[np.int32]:
    """The partition of each key among `count`: (murmur2(key) & 0x7fffffff) % count; null: -1.

    >>> partitions_of(pa.array([b"21", None]), 3).tolist()
    [2, -1]
    """
    encoded = keys.dictionary_encode()
    if len(encoded.dictionary) == 0:
        return np.full(len(keys), -1, np.int32)
    hashes = murmur2(encoded.dictionary.cast(pa.binary()))
    by_key = ((hashes & np.uint32(0x7FFFFFFF)) % np.uint32(count)).astype(np.int32)
    if encoded.null_count == 0:
        placed: npt.NDArray[np.int32] = by_key[encoded.indices.to_numpy()]
        return placed
    known = encoded.indices.is_valid().to_numpy(zero_copy_only=False)
    indices = encoded.indices.fill_null(0).to_numpy()
    return np.where(known, by_key[indices], np.int32(-1))


def murmur2(keys: pa.Array) -> npt.NDArray[np.uint32]:
    """The hash of each of `keys` (binary, without nulls).

    Keys of one length are hashed together, a word of all of them at a time.
    """
    lengths = pc.binary_length(keys).to_numpy()
    order = np.argsort(lengths, kind="stable")
    by_length = keys.take(pa.array(order))
    data = np.frombuffer(by_length.buffers()[2] or b"", np.uint8)
    sorted_hashes = np.empty(len(keys), np.uint32)
    sizes, firsts = np.unique(lengths[order], return_index=True)
    bounds = [*firsts.tolist(), len(keys)]
    at = 0
    for size, first, last in zip(sizes.tolist(), bounds, bounds[1:], strict=False):
        stop = at + size * (last - first)
        sorted_hashes[first:last] = _hash_rows(data[at:stop].reshape(last - first, size))
        at = stop
    hashes = np.empty_like(sorted_hashes)
    hashes[order] = sorted_hashes
    return hashes


def _hash_rows(rows: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint32]:
    count, size = rows.shape
    whole = size // 4
    words = np.ascontiguousarray(rows[:, : whole * 4]).view("<u4").reshape(count, whole)
    hashes = np.full(count, _SEED ^ size, np.uint32)
    for position in range(whole):
        word = words[:, position] * _M
        word ^= word >> _R
        hashes = (hashes * _M) ^ (word * _M)
    if size % 4:
        for position in range(size % 4):
            byte = rows[:, whole * 4 + position].astype(np.uint32)
            hashes ^= byte << np.uint32(8 * position)
        hashes *= _M
    hashes ^= hashes >> np.uint32(13)
    hashes *= _M
    hashes ^= hashes >> np.uint32(15)
    return hashes
