"""Data files: rows to Parquet below the lake's directory, durable before anyone names them.

Partition columns stand in the files too, behind Delta's back so to say: readers that follow the
log take their value from it, ours takes it from the file, where its type and the difference
between null and the empty string survive.
"""

from __future__ import annotations

import json
import os
import time
from base64 import b64encode
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pyarrow as pa

from headrace.storage.durable import make_directory, sync_directory
from headrace.storage.lake.columns import decoded, leaves
from headrace.storage.lake.digests import DigestedFile
from headrace.storage.lake.partitions import directory_name, split, value_text
from headrace.values.points import reach

if TYPE_CHECKING:
    import pyarrow.parquet as pq

PREFIX = "headrace-"
ROWS_MAX = 1 << 21
_GROUP_ROWS = 1 << 20
_GROUP_BYTES = 256 << 20
_TEXT_MAX = 32


@dataclass(frozen=True)
class DataFile:
    """A file of the lake: `path` is relative to it, `partition` the values as Delta has them."""

    path: str
    bytes: int
    rows: int
    modified_ms: int
    partition: tuple[tuple[str, str | None], ...]
    stats: str = ""


def write_files(
    directory: Path, rows: pa.Table, partition_by: tuple[str, ...], label: str
) -> list[DataFile]:
    """Writes `rows` (typed as in the lake, or dictionaries of that) into new files.

    One or more for each partition; `label` becomes part of their names. Everything is on disk
    when it returns.
    """
    files: list[DataFile] = []
    try:
        for values, part in split(rows, partition_by):
            texts = tuple(zip(partition_by, map(value_text, values), strict=True))
            for start in range(0, part.num_rows, ROWS_MAX):
                piece = part.slice(start, ROWS_MAX)
                files.append(write_file(directory, [piece], piece.schema, texts, label))
        for made in {(directory / f.path).parent for f in files}:
            sync_directory(made)
    except OSError:
        remove_files(directory, files)
        raise
    return files


def remove_files(directory: Path, files: Iterable[DataFile]) -> None:
    """Deletes files that no commit names."""
    for file in files:
        (directory / file.path).unlink(missing_ok=True)


def write_file(
    directory: Path,
    tables: Iterable[pa.Table],
    schema: pa.Schema,
    partition: tuple[tuple[str, str | None], ...],
    label: str,
) -> DataFile:
    """Writes `tables`, which have `schema`, into one file; its name is not yet durable."""
    parts = [directory_name(column, text) for column, text in partition]
    name = f"{PREFIX}{label}-{uuid4().hex[:12]}"
    draft = directory.joinpath(*parts, f"{name}.parquet")
    if parts:
        make_directory(draft.parent)
    try:
        footer, size, digest = _written(draft, tables, schema)
        path = "/".join([*parts, f"{name}-{digest}.parquet"])
        draft.rename(directory / path)
        reach("lake.file.renamed")
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    names = {column for column, _ in partition}
    stats = json.dumps(_stats(footer, decoded(schema), names), ensure_ascii=False)
    modified_ms = time.time_ns() // 1_000_000
    return DataFile(path, size, footer.num_rows, modified_ms, partition, stats)


def _written(
    target: Path, tables: Iterable[pa.Table], schema: pa.Schema
) -> tuple[pq.FileMetaData, int, str]:
    """Writes a Parquet file and syncs it; its footer, its size in bytes and its digest."""
    # Slow to load, and not needed until rows have gathered.
    import pyarrow.parquet as pq

    with DigestedFile(target) as file:
        # Not by its collector of footers, which hides what the disk refused behind an error of its
        # own.
        with pq.ParquetWriter(file, schema, **_options(schema)) as out:
            out.add_key_value_metadata(_noted_types(schema))
            for group in _groups(tables):
                out.write_table(group, row_group_size=_GROUP_ROWS)
        reach("lake.file.written")
        file.flush()
        os.fsync(file.fileno())
        return out.writer.metadata, file.tell(), file.digest


def _groups(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """`tables` put together until they are worth a row group."""
    waiting: list[pa.Table] = []
    for table in tables:
        waiting.append(table)
        rows, size = sum(t.num_rows for t in waiting), sum(t.nbytes for t in waiting)
        if rows >= _GROUP_ROWS or size >= _GROUP_BYTES:
            yield pa.concat_tables(waiting)
            waiting = []
    if waiting:
        yield pa.concat_tables(waiting)


def _noted_types(schema: pa.Schema) -> dict[str, bytes]:
    """What Arrow notes of the types in a file; by itself it would note dictionaries as such."""
    return {"ARROW:schema": b64encode(decoded(schema).serialize().to_pybytes())}


def _options(schema: pa.Schema) -> dict[str, Any]:
    """Whole numbers and times as differences (half the size, faster), all else by dictionary."""
    packed: list[str] = []
    other: list[str] = []
    for path, type_ in leaves(schema):
        whole = pa.types.is_int32(type_) or pa.types.is_int64(type_)
        (packed if whole or pa.types.is_timestamp(type_) else other).append(path)
    return {
        "compression": "snappy",
        "use_dictionary": other or False,
        "column_encoding": dict.fromkeys(packed, "DELTA_BINARY_PACKED") or None,
        "store_schema": False,
    }


def _stats(footer: pq.FileMetaData, schema: pa.Schema, without: set[str]) -> dict[str, Any]:
    """What Delta keeps of a file for readers to skip it; bounds may be wider than the truth."""
    low: dict[str, Any] = {}
    high: dict[str, Any] = {}
    nulls: dict[str, int] = {}
    for number, (name, type_) in enumerate(leaves(schema)):
        if name in without or schema.get_field_index(name) < 0 or not _has_bounds(type_):
            continue
        chunks = [footer.row_group(i).column(number) for i in range(footer.num_row_groups)]
        groups = [chunk.statistics for chunk in chunks]
        if any(g is None or not g.has_null_count for g in groups):
            continue
        nulls[name] = sum(g.null_count for g in groups)
        bounded = [g for g in groups if g.has_min_max]
        if not bounded or len(bounded) < sum(g.num_values > 0 for g in groups):
            continue
        low[name] = _bound(min(g.min for g in bounded))
        top = max(g.max for g in bounded)
        if not (isinstance(top, str) and len(top) > _TEXT_MAX):
            high[name] = _bound(top)
    return {"numRecords": footer.num_rows, "minValues": low, "maxValues": high, "nullCount": nulls}


def _has_bounds(type_: pa.DataType) -> bool:
    return bool(
        pa.types.is_integer(type_)
        or pa.types.is_timestamp(type_)
        or pa.types.is_date(type_)
        or pa.types.is_string(type_)
    )


def _bound(value: Any) -> Any:
    if isinstance(value, str):
        return value[:_TEXT_MAX]
    if isinstance(value, int):
        return value
    if isinstance(value, datetime):
        return value.isoformat(timespec="microseconds").replace("+00:00", "Z")
    return value.isoformat()
