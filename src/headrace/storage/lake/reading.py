"""The lake as readers see it: its version, its files, its rows as SQL, its mark.

Nothing here writes or locks. Files that a compaction replaces stay for the lake's grace period,
so a list of files can be read for that long.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pyarrow as pa

from headrace.storage.contract import Claim, Mark
from headrace.storage.lake.columns import in_lake, naive_sql, type_sql
from headrace.storage.lake.digests import check_files
from headrace.storage.lake.entries import job_in, last_entry
from headrace.storage.lake.files import PREFIX
from headrace.storage.lake.log import LOG, load
from headrace.storage.lake.merge import columns_to_add
from headrace.values.errors import StateRefused
from headrace.values.schema import literal, quote

if TYPE_CHECKING:
    from deltalake import DeltaTable


def version(directory: Path) -> int | None:
    """The lake's present version; None when nothing was written yet."""
    table = load(directory)
    return None if table is None else table.version()


def live_files(directory: Path, version: int | None = None) -> list[Path]:
    """The Parquet files that hold the rows of `version` (None: the present one)."""
    table = load(directory, version)
    return [] if table is None else _files(table, directory)


def read_mark(directory: Path, job: str) -> Mark | None:
    """The last mark that `job` left; None when it has delivered nothing.

    Raises StateRefused when the lake is another job's, or its log lost the mark.
    """
    claim = claim_in(load(directory), directory, job)
    return None if claim is None else claim.mark


def claim_in(table: DeltaTable | None, directory: Path, job: str) -> Claim | None:
    """The incarnation and the mark that `job` left last; None where no lake is.

    Raises as `read_mark`.
    """
    if table is None:
        return None
    found = last_entry(table)
    if found is None:
        raise no_entry(directory)
    entry, _ = found
    if entry.job != job:
        raise not_ours(directory, job, entry.job)
    return Claim(entry.incarnation, entry.mark)


def owner_of(directory: Path) -> str | None:
    """The job that writes the lake; None where there is none, or nobody can say any more.

    Of a damaged log what is whole still says it. DiskRefused when the file system refuses.
    """
    from deltalake.exceptions import DeltaError

    try:
        table = load(directory)
        found = None if table is None else last_entry(table)
        return None if found is None else found[0].job
    except (StateRefused, DeltaError):
        return job_in(directory / LOG)


def relation_sql(
    directory: Path,
    version: int | None = None,
    *,
    schema: pa.Schema | None = None,
    checked: bool = True,
) -> str:
    """A DuckDB query over the rows of `version` (None: the present one), all columns as declared.

    Times come out naive UTC. A column that a file lacks is null. A lake without rows gives no
    rows; one that was never opened needs `schema` for its columns and else raises StateRefused.
    Columns of `schema` that the lake is still to be given are null. StateRefused also names a file
    that is not what was written, where it is `checked`: all of it is read for that.
    """
    table = load(directory, version)
    if table is not None:
        stored = _merged(pa.schema(table.schema().to_arrow()), schema, directory)
    elif schema is not None:
        stored = schema
    else:
        raise StateRefused(
            f"There is no lake in {directory}", remedy="Run the job that writes it first."
        )
    files = [] if table is None else _files(table, directory)
    if checked:
        check_files(files)
    columns = ", ".join(f"{naive_sql(quote(f.name), f.type)} AS {quote(f.name)}" for f in stored)
    empty = ", ".join(f"NULL::{type_sql(f.type)} AS {quote(f.name)}" for f in stored)
    parts = [f"SELECT {empty} WHERE false"]
    partitions = [] if table is None else table.metadata().partition_columns
    # Files that another tool rewrote have their partition in the path alone.
    for ours in (True, False):
        paths = [literal(str(f)) for f in files if f.name.startswith(PREFIX) == ours]
        if paths:
            hive = "hive_partitioning=false" if ours else _hive(stored, partitions)
            files_sql = f"[{', '.join(paths)}]"
            parts.append(f"SELECT * FROM read_parquet({files_sql}, union_by_name=true, {hive})")
    return f"SELECT {columns} FROM ({' UNION ALL BY NAME '.join(parts)})"


def _merged(stored: pa.Schema, declared: pa.Schema | None, directory: Path) -> pa.Schema:
    """The columns of the lake with those that it gets when it is opened."""
    if declared is None:
        return stored
    for field in columns_to_add(in_lake(stored), in_lake(declared), directory):
        at = stored.get_field_index(field.name)
        stored = stored.append(field) if at < 0 else stored.set(at, field)
    return stored


def _hive(stored: pa.Schema, partitions: list[str]) -> str:
    if not partitions:
        return "hive_partitioning=false"
    types = ", ".join(f"{literal(p)}: {type_sql(stored.field(p).type)}" for p in partitions)
    return f"hive_partitioning=true, hive_types={{{types}}}"


def _files(table: DeltaTable, directory: Path) -> list[Path]:
    # Delta writes the way to the table as in a URI (a space is %20), a file's name as it is.
    way = urlsplit(table.table_uri).path
    return [directory / uri.removeprefix(way) for uri in table.file_uris()]


def no_entry(directory: Path) -> StateRefused:
    """The error for a table that no job wrote, or whose log lost the job's mark."""
    return StateRefused(
        f"The Delta table in {directory} holds no mark of a Headrace job: another tool made it, "
        "or removed the log's entry with the mark",
        remedy="Give the lake a directory of its own, or restore its _delta_log from a backup.",
    )


def not_ours(directory: Path, job: str, owner: str) -> StateRefused:
    """The error for a lake that another job writes."""
    return StateRefused(
        f'The lake {directory} belongs to the job "{owner}"; this is the job "{job}"',
        remedy="Give each job's lake a directory of its own.",
    )
