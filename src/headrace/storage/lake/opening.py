"""The lake taken by a job: made or loaded, checked, older incarnations fenced, columns merged.

Everything is checked before anything is written, so a refusal leaves the lake as it was.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from headrace.storage.contract import Claim
from headrace.storage.lake.columns import in_lake
from headrace.storage.lake.disk import writing
from headrace.storage.lake.entries import Entry, last_entry, transactions
from headrace.storage.lake.log import LOG, Log, create, load_mended, sync_commits
from headrace.storage.lake.merge import columns_to_add
from headrace.storage.lake.noted import unnoted
from headrace.storage.lake.reading import claim_in, no_entry, not_ours
from headrace.values.errors import StateRefused
from headrace.values.points import reach

if TYPE_CHECKING:
    from deltalake import DeltaTable


def look(directory: Path, job: str) -> Claim | None:
    """Which start of `job` has opened the lake, and its mark; for whoever has the job.

    What a power cut left half written is taken back first. Raises StateRefused for another job's
    lake and a damaged one, DiskRefused when the file system refuses.
    """
    with writing(directory):
        return claim_in(load_mended(directory), directory, job)


def take(
    directory: Path,
    schema: pa.Schema,
    partition_by: tuple[str, ...],
    configuration: dict[str, str],
    newcomer: Entry,
) -> tuple[Log, Entry]:
    """The lake's log, and the newcomer's entry with the mark that is there.

    Raises StateRefused for another job's lake, a newer incarnation, another partitioning, or a
    column that changed or is gone; CommitFailedError when a rival opens it at the same time.
    """
    table = load_mended(directory)
    if table is None:
        table = create(directory, schema, partition_by, configuration, newcomer)
    found = last_entry(table)
    if found is None:
        raise no_entry(directory)
    last, version = found
    _check_owner(directory, table, last, newcomer)
    _check_partitions(directory, table.metadata().partition_columns, partition_by)
    stored = in_lake(pa.schema(table.schema().to_arrow()))
    new = columns_to_add(stored, schema, directory)
    # What a killed process committed counts from here on, so it has to be on disk; so has what
    # the disk refused to sync before.
    here = table.version()
    sync_commits(directory, sorted({*unnoted(directory / LOG), *range(version, here + 1)}))
    entry = Entry(newcomer.job, newcomer.incarnation, last.mark)
    log = Log(directory, table, stored, partition_by, synced=here)
    if entry.incarnation > last.incarnation:
        log.commit(entry)
    reach("lake.fenced")
    if new:
        log = log.with_columns(new, entry)
    log.configure(configuration, entry)
    return log, entry


def _check_owner(directory: Path, table: DeltaTable, last: Entry, newcomer: Entry) -> None:
    if last.job != newcomer.job:
        raise not_ours(directory, newcomer.job, last.job)
    if last.incarnation > newcomer.incarnation:
        raise fenced(directory, last.incarnation, newcomer)
    if transactions(table, last.job) != (last.number, last.incarnation):
        raise no_entry(directory)


def _check_partitions(directory: Path, present: list[str], declared: tuple[str, ...]) -> None:
    if tuple(present) != declared:
        raise StateRefused(
            f"The lake {directory} is partitioned by {_names(present)}, "
            f"the definition says {_names(declared)}",
            remedy="Declare it as it is there, or give this output another name.",
        )


def _names(columns: list[str] | tuple[str, ...]) -> str:
    return ", ".join(columns) or "nothing"


def fenced(directory: Path, incarnation: int, ours: Entry) -> StateRefused:
    """The error for a writer whose place another one has taken."""
    other = (
        f"its start number {incarnation} (this one is number {ours.incarnation})"
        if incarnation > ours.incarnation
        else "another process with the same state"
    )
    return StateRefused(
        f'The lake {directory} was taken over: the job "{ours.job}" runs elsewhere, as {other}',
        remedy="Let one of them run only; this one delivers nothing more.",
    )
