"""The lake's Delta log: loaded, mended after a power cut, appended to durably.

A commit counts once its file and its name are synced; what a power cut left half written was
never answered for, and is taken back.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pyarrow as pa

from headrace.storage.durable import make_directory, sync_directory, sync_file
from headrace.storage.lake.columns import in_lake
from headrace.storage.lake.entries import KEY, Entry, is_ours
from headrace.storage.lake.files import DataFile
from headrace.storage.lake.noted import check_log, damaged_log, differs, is_noted, note
from headrace.values.errors import StateRefused
from headrace.values.points import reach

if TYPE_CHECKING:
    from deltalake import DeltaTable
    from deltalake.transaction import AddAction, RemoveAction

LOG = "_delta_log"
LAST_CHECKPOINT = "_last_checkpoint"
_COMMIT = "[0-9]" * 20 + ".json"


def load(directory: Path, version: int | None = None) -> DeltaTable | None:
    """The lake's table at `version` (None: now); None when there is none.

    Raises StateRefused when its log is damaged, or reading its files one by one would not give its
    rows; DeltaError for what the disk does.
    """
    from deltalake.exceptions import DeltaError

    with suppress(DeltaError):
        return _load(directory, version)
    # Clean-up may have taken what had just been listed: what is damaged is so the second time, too.
    try:
        return _load(directory, version)
    except DeltaError as error:
        refused = _damaged(directory, error)
        if refused is None:
            raise
        raise refused from error


def _load(directory: Path, version: int | None = None) -> DeltaTable | None:
    from deltalake import DeltaTable
    from deltalake.exceptions import TableNotFoundError

    if not (directory / LOG).is_dir():
        return None
    check_log(directory / LOG, version)
    try:
        table = DeltaTable(str(directory.absolute()), version=version)
    except TableNotFoundError:
        return None
    if table.protocol().min_reader_version > 1:
        raise StateRefused(
            f"The lake {directory} uses Delta features that another tool switched on "
            "(column mapping, deletion vectors or the like)",
            remedy="Switch them off with that tool, or copy the rows to a new lake.",
        )
    return table


def load_mended(directory: Path) -> DeltaTable | None:
    """`load` for the lake's writer, which first takes back what a power cut left half written."""
    from deltalake.exceptions import DeltaError

    log = directory / LOG
    with suppress(DeltaError, StateRefused):
        table = _load(directory)
        if not _torn_commits(log):
            return table
    _mend(log)
    return load(directory)


def _damaged(directory: Path, error: Exception) -> StateRefused | None:
    """What is wrong with the log that `error` tells of; None where it is the disk that refuses."""
    log = directory / LOG
    commits, checkpoints = sorted(log.glob(_COMMIT)), list(log.glob("*.checkpoint.parquet"))
    numbers = [int(path.stem) for path in commits]
    torn = [path for path in commits if not _whole_commit(path)]
    torn += [path for path in checkpoints if not _whole_parquet(path)]
    complete = all(after == before + 1 for before, after in pairwise(numbers)) and (
        bool(checkpoints) or numbers[:1] == [0]
    )
    if complete and not torn and "os error" in str(error):
        return None
    return damaged_log([*torn, log][0], f"is damaged: {str(error).splitlines()[0]}")


def _mend(log: Path) -> None:
    """Removes a torn newest commit, torn checkpoints, and the hint to the last.

    Older commits are kept until a checkpoint that covers them is on disk, so nothing is lost. What
    was durable is not torn but damaged: a commit stays, a checkpoint is put aside, as there may be
    no other.
    """
    checkpoints = list(log.glob("*.checkpoint.parquet"))
    damaged = [path for path in checkpoints if differs(path)]
    torn = [path for path in checkpoints if path not in damaged and not _whole_parquet(path)]
    torn += _torn_commits(log)
    (log / LAST_CHECKPOINT).unlink(missing_ok=True)
    reach("lake.hint.removed")
    for path in torn:
        path.unlink()
        reach("lake.torn.removed")
    for path in damaged:
        path.rename(path.with_name(f"{path.name}.damaged"))
        reach("lake.damaged.renamed")
    sync_directory(log)
    reach("lake.mended")


def _torn_commits(log: Path) -> list[Path]:
    """The newest commit, if it is half written: one that was noted was on disk."""
    newest = sorted(log.glob(_COMMIT))[-1:]
    return [path for path in newest if not is_noted(path) and not _whole_commit(path)]


def _whole_parquet(path: Path) -> bool:
    import pyarrow.parquet as pq

    try:
        pq.ParquetFile(path).read()
    except (pa.ArrowException, OSError):
        return False
    return True


def _whole_commit(path: Path) -> bool:
    """Whether each line is there that has to be: one of ours also says which start wrote it."""
    try:
        # As bytes: text has more ends of lines than JSON, and rows may hold them.
        lines = [json.loads(line) for line in path.read_bytes().splitlines()]
    except ValueError:
        return False
    if not lines or not all(isinstance(line, dict) for line in lines):
        return False
    ours = any(KEY in line.get("commitInfo", ()) for line in lines)
    return not ours or any(is_ours(line.get("txn")) for line in lines)


def create(
    directory: Path,
    schema: pa.Schema,
    partition_by: Sequence[str],
    configuration: dict[str, str],
    entry: Entry,
) -> DeltaTable:
    """An empty lake whose first commit carries `entry`; the present one if a rival was faster.

    StateRefused where Delta would look for it elsewhere.
    """
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError

    place = str(directory.absolute())
    if unquote(place) != place or "#" in place or "?" in place:
        raise StateRefused(
            f"Delta keeps no lake in {place}: it takes #, ? and %20 or the like for parts of a URI",
            remedy="Choose another place for the data: --data DIR",
        )
    make_directory(directory)
    try:
        table = DeltaTable.create(
            str(directory.absolute()),
            schema,
            partition_by=list(partition_by),
            configuration=configuration,
            commit_properties=entry.properties(),
        )
    except DeltaError:
        rival = load(directory)
        if rival is None:
            raise
        return rival
    reach("lake.created")
    sync_directory(directory)
    sync_commits(directory, range(table.version() + 1))
    return table


@dataclass
class Log:
    """The log of an open lake, on the snapshot that `table` is at.

    Commits above `synced` may not be on disk yet, also when the table has moved to them.
    """

    directory: Path
    table: DeltaTable
    schema: pa.Schema
    partition_by: tuple[str, ...]
    synced: int

    def sync(self) -> None:
        """Makes all commits up to that of `table` durable; OSError."""
        version = self.table.version()
        sync_commits(self.directory, range(self.synced + 1, version + 1))
        self.synced = version

    def commit(
        self, entry: Entry, added: Sequence[DataFile] = (), replaced: Sequence[DataFile] = ()
    ) -> None:
        """Appends one commit with `entry`, durably, and moves `table` to it.

        `replaced` files leave for `added` ones that hold the same rows (a compaction). Raises
        CommitFailedError when a rival wrote an entry since the table's snapshot.
        """
        from deltalake import PostCommitHookProperties, Schema

        actions: list[AddAction | RemoveAction] = [_add(f, change=not replaced) for f in added]
        actions += [_remove(f) for f in replaced]
        self.table.create_write_transaction(
            actions,
            mode="append",
            schema=Schema.from_arrow(self.schema),
            partition_by=list(self.partition_by),
            commit_properties=entry.properties(),
            post_commithook_properties=PostCommitHookProperties(
                create_checkpoint=False, cleanup_expired_logs=False
            ),
        )
        reach("lake.committed")
        self.table.update_incremental()
        self.sync()
        reach("lake.commit.synced")

    def with_columns(self, fields: Sequence[pa.Field], entry: Entry) -> Log:
        """The log after a commit that adds `fields`, or fields inside of them, to the table."""
        from deltalake import Field

        self.table.alter.add_columns(
            [Field.from_arrow(field) for field in fields], commit_properties=entry.properties()
        )
        reach("lake.columns.added")
        self.table.update_incremental()
        self.sync()
        stored = in_lake(pa.schema(self.table.schema().to_arrow()))
        return Log(self.directory, self.table, stored, self.partition_by, self.synced)

    def configure(self, wanted: dict[str, str], entry: Entry) -> None:
        """Gives the table the properties `wanted`, if it does not have them."""
        present = self.table.metadata().configuration
        if wanted.items() <= present.items():
            return
        self.table.alter.set_table_properties(wanted, commit_properties=entry.properties())
        reach("lake.configured")
        self.table.update_incremental()
        self.sync()


def _add(file: DataFile, *, change: bool) -> AddAction:
    from deltalake.transaction import AddAction

    return AddAction(
        file.path, file.bytes, dict(file.partition), file.modified_ms, change, file.stats
    )


def _remove(file: DataFile) -> RemoveAction:
    from deltalake.transaction import RemoveAction

    now_ms = time.time_ns() // 1_000_000
    return RemoveAction(file.path, False, now_ms, file.bytes, dict(file.partition))


def sync_commits(directory: Path, versions: Iterable[int]) -> None:
    """Makes the commits of `versions` durable, those that are there, and notes them; OSError."""
    log = directory / LOG
    names = [f"{version:020}.json" for version in versions]
    there = [name for name in names if (log / name).exists()]
    for name in there:
        sync_file(log / name)
    sync_directory(log)
    note(log, there)
