"""Small files of a partition put together into larger ones, a bounded piece of work at a time.

Files fall into tiers by their rows, each tier eight times the one below; eight files of a tier
become one. So a row is rewritten about once a tier, and a partition that is written to has few
files. In one that has been quiet for an hour all small files are put together, whatever their tier.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import unquote

import pyarrow as pa

from headrace.storage.durable import sync_directory
from headrace.storage.lake.digests import check_files
from headrace.storage.lake.entries import Entry
from headrace.storage.lake.files import PREFIX, DataFile, remove_files, write_file
from headrace.storage.lake.log import Log
from headrace.storage.lake.merge import widened
from headrace.storage.lake.partitions import value_text
from headrace.values.points import reach

if TYPE_CHECKING:
    from deltalake import DeltaTable

T = TypeVar("T")
FILES_MIN = 8
_QUIET_FILES_MIN = 4
_QUIET_MS = 3_600_000
SMALL_ROWS = 1 << 19
_SMALL_BYTES = 64 << 20
_WORK_ROWS_MAX = 1 << 20


class GaveWay(Exception):
    """A piece of compaction was left in its midst for something more urgent; nothing is changed."""


def compact(log: Log, entry: Entry, hurried: Callable[[], bool]) -> int:
    """Does one piece of compaction, if there is any to do; returns how many files it replaced.

    Replaced files stay on disk for the lake's grace period. Raises CommitFailedError when another
    incarnation has written since, StateRefused where a file is not what was written, GaveWay where
    it is `hurried` between two files.
    """
    groups = choose(live(log.table, log.partition_by), time.time_ns() // 1_000_000)
    if not groups:
        return 0
    replaced = [file for group in groups for file in group]
    check_files(log.directory / file.path for file in _unhurried(replaced, hurried))
    added: list[DataFile] = []
    try:
        for group in groups:
            files, partition = _unhurried(group, hurried), group[0].partition
            added.append(_merged(log.directory, files, partition, log.schema))
        for made in {(log.directory / file.path).parent for file in added}:
            sync_directory(made)
    except BaseException:
        remove_files(log.directory, added)
        raise
    reach("lake.compaction.written")
    log.commit(entry, added, replaced)
    return len(replaced)


def live(table: DeltaTable, partition_by: tuple[str, ...]) -> list[DataFile]:
    """The files that Headrace wrote among the table's, oldest first."""
    adds = pa.table(table.get_add_actions(flatten=True))
    partitions = [[value_text(v) for v in adds[f"partition.{c}"].to_pylist()] for c in partition_by]
    texts = zip(*partitions, strict=True) if partition_by else [()] * adds.num_rows
    modified = adds["modification_time"].cast(pa.int64()).to_pylist()
    columns = zip(
        # As a URL has it, where commits are given names of files.
        map(unquote, adds["path"].to_pylist()),
        adds["size_bytes"].to_pylist(),
        adds["num_records"].to_pylist(),
        modified,
        texts,
        strict=True,
    )
    files = [
        DataFile(path, size, rows, ms, tuple(zip(partition_by, values, strict=True)))
        for path, size, rows, ms, values in columns
        if path.rpartition("/")[2].startswith(PREFIX) and rows is not None
    ]
    return sorted(files, key=lambda f: (f.modified_ms, f.path))


def choose(files: list[DataFile], now_ms: int) -> list[list[DataFile]]:
    """Groups of files, each to become one, in all not much above a million rows."""
    partitions: dict[object, list[DataFile]] = defaultdict(list)
    for file in files:
        if file.rows < SMALL_ROWS and file.bytes < _SMALL_BYTES:
            partitions[file.partition].append(file)
    groups, rows = [], 0
    for small in partitions.values():
        for group in _ripe(small, now_ms):
            groups.append(group)
            rows += sum(f.rows for f in group)
            if rows >= _WORK_ROWS_MAX:
                return groups
    return groups


def _ripe(small: list[DataFile], now_ms: int) -> Iterator[list[DataFile]]:
    """The groups of one partition that are worth putting together now."""
    if len(small) >= _QUIET_FILES_MIN and small[-1].modified_ms < now_ms - _QUIET_MS:
        yield _bounded(small)
        return
    tiers: dict[int, list[DataFile]] = defaultdict(list)
    for file in small:
        tiers[max(file.rows - 1, 0).bit_length() // 3].append(file)
    for tier in tiers.values():
        if len(tier) >= FILES_MIN:
            yield _bounded(tier)


def _bounded(files: list[DataFile]) -> list[DataFile]:
    """The oldest of `files`, as many as fit one file; any two small ones do."""
    rows = size = 0
    taken = []
    for file in files:
        rows, size = rows + file.rows, size + file.bytes
        if rows > 2 * SMALL_ROWS or size > 2 * _SMALL_BYTES:
            break
        taken.append(file)
    return taken


def _unhurried(items: Iterable[T], hurried: Callable[[], bool]) -> Iterator[T]:
    for item in items:
        if hurried():
            raise GaveWay
        yield item


def _merged(
    directory: Path,
    group: Iterable[DataFile],
    partition: tuple[tuple[str, str | None], ...],
    schema: pa.Schema,
) -> DataFile:
    import pyarrow.parquet as pq

    tables = (widened(pq.ParquetFile(directory / f.path).read(), schema) for f in group)
    return write_file(directory, tables, schema, partition, "compacted")
