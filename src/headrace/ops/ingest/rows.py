"""What is missing of a file that is read from its first row again.

Rows that stand in the topic are left out by their number. The last of them may have been half
written when it was taken: where its cells are others now, it is taken once more, whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pyarrow as pa
import xxhash

from headrace.ops.ingest.formats import Part
from headrace.ops.ingest.identity import Rows


def missing(parts: Iterator[Part], records: int, rows: Rows) -> Iterator[Part]:
    """`parts` without the rows that the topic has as so many `records`, up to where `rows` says."""
    there, noted = records - rows.retaken, rows.last
    for part in parts:
        count, cells = len(part.values), part.cells
        if cells is not None and count:
            if 0 < there <= count and noted not in (None, _digest(cells, there - 1)):
                there, rows = there - 1, replace(rows, retaken=rows.retaken + 1)
            if there <= count:
                rows = replace(rows, last=_digest(cells, count - 1))
        yield replace(part, values=part.values[there:], cells=None, rows=rows)
        there = max(0, there - count)


def _digest(cells: pa.Table, row: int) -> str:
    [found] = cells.slice(row, 1).to_pylist()
    return xxhash.xxh3_64_hexdigest(repr(list(found.values())).encode())
