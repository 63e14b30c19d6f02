"""How large rows are: too large for a topic, or for one block, by their plain size."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from headrace.storage.contract import Refusal
from headrace.storage.kafka.cluster import Cluster
from headrace.storage.kafka.topic_settings import change
from headrace.values.errors import TopicRefused, UsageError

# Kafka's own default, where the user may not read the topic's settings.
_MESSAGE_BYTES_DEFAULT = 1_048_588
# A record's and a batch's own fields, at their largest.
_OVERHEAD_BYTES = 256
_BATCH_BYTES_MAX = 1_000_000
_SHOWN_BYTES = 4096


def row_bytes_max(cluster: Cluster, topic: str) -> int:
    """The most bytes that key and value of a row may have together."""
    try:
        found = cluster.settings(topic).get("max.message.bytes")
    except TopicRefused:
        found = None
    return int(found or _MESSAGE_BYTES_DEFAULT) - _OVERHEAD_BYTES


def batch_settings(bytes_max: int) -> dict[str, int]:
    """The producer's setting for batches that the topic takes however they compress."""
    return {"batch.size": max(1, min(_BATCH_BYTES_MAX, bytes_max))}


def too_large(rows: pa.Table, bytes_max: int) -> np.ndarray:
    """The positions of rows with more bytes in `key` and `value` than the topic takes."""
    sizes = [
        pc.fill_null(pc.binary_length(rows.column(name)), 0).cast(pa.int64())
        for name in ("key", "value")
    ]
    return np.flatnonzero(pc.add(*sizes).to_numpy() > bytes_max)


def row_bytes(batch: pa.RecordBatch) -> npt.NDArray[np.int64]:
    """The bytes of each row in `key`, `value` and, where there are any, `headers`."""
    sizes: npt.NDArray[np.int64] = _lengths(batch.column("key")) + _lengths(batch.column("value"))
    if "headers" in batch.schema.names:
        headers = batch.column("headers")
        names, values = headers.flatten().flatten()
        each = _lengths(names) + _lengths(values)
        np.add.at(sizes, headers.value_parent_indices().to_numpy(), each)
    return sizes


def blocks(sizes: npt.NDArray[np.int64], rows_max: int, bytes_max: int) -> Iterator[slice]:
    """Cuts rows of these sizes into blocks; one that is larger than `bytes_max` stands alone."""
    ends, first = np.cumsum(sizes), 0
    while first < len(sizes):
        before = ends[first - 1] if first else 0
        fitting = int(np.searchsorted(ends, before + bytes_max, side="right"))
        stop = min(max(fitting, first + 1), first + rows_max)
        yield slice(first, stop)
        first = stop


def check_sizes(rows: pa.Table, bytes_max: int, topic: str, servers: str) -> None:
    """UsageError when a row is larger than the topic at `servers` takes."""
    found = too_large(rows, bytes_max)
    if len(found):
        needed = len(rows.column("value")[int(found[0])].as_py() or b"") + _OVERHEAD_BYTES * 2
        raise UsageError(
            f'A record is larger than topic "{topic}" takes ({bytes_max:,} bytes)',
            remedy=change(servers, topic, "max.message.bytes", needed),
        )


def refusals_of(rows: pa.Table, found: np.ndarray, bytes_max: int, number: int) -> list[Refusal]:
    """What is kept of the rows at the positions `found`."""
    reason = f"larger than the topic takes: {bytes_max:,} bytes (max.message.bytes)"
    return [
        Refusal(number, json.dumps({name: _shown(row[name]) for name in ("key", "value")}), reason)
        for row in rows.take(pa.array(found)).to_pylist()
    ]


def _lengths(column: pa.Array) -> npt.NDArray[np.int64]:
    lengths = pc.fill_null(pc.binary_length(column), 0).cast(pa.int64())
    return cast("npt.NDArray[np.int64]", lengths.to_numpy(zero_copy_only=False))


def _shown(content: bytes | None) -> str | None:
    return None if content is None else content[:_SHOWN_BYTES].decode(errors="replace")
