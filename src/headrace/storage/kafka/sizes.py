"""How large rows are, and which of them go together: by their plain size."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc


def row_bytes(batch: pa.RecordBatch) -> npt.NDArray[np.int64]:
    """The bytes of each row in `key`, `value` and, where there are any, `headers`."""
    sizes: npt.NDArray[np.int64] = lengths(batch.column("key")) + lengths(batch.column("value"))
    if "headers" in batch.schema.names:
        headers = batch.column("headers")
        names, values = headers.flatten().flatten()
        each = lengths(names) + lengths(values)
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


def lengths(column: pa.Array | pa.ChunkedArray) -> npt.NDArray[np.int64]:
    """The bytes of each value; null has none."""
    found = pc.fill_null(pc.binary_length(column), 0).cast(pa.int64())
    return cast("npt.NDArray[np.int64]", found.to_numpy(zero_copy_only=False))
