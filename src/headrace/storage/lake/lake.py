"""The lake: rows and mark appended to a Delta table in one commit.

Invariants: a commit names only files that are on disk; a mark is answered for only when its
commit and all before it are on disk; rows land only if no other writer has left an entry since
this one last looked. Delta does not refuse an old transaction number, so numbers are compared
here, on the snapshot that the commit is made on, and a rival's commit in between makes ours fail.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa

from headrace.storage.contract import Claim, Mark, Refusal
from headrace.storage.lake.cleanup import tidy
from headrace.storage.lake.columns import in_lake, type_sql
from headrace.storage.lake.compaction import FILES_MIN, GaveWay, compact
from headrace.storage.lake.disk import writing
from headrace.storage.lake.entries import Entry, last_entry, transactions
from headrace.storage.lake.files import remove_files, write_files
from headrace.storage.lake.log import LOG, Log
from headrace.storage.lake.merge import widened
from headrace.storage.lake.opening import fenced, look, take
from headrace.values.errors import DefinitionError, HeadraceError, StateRefused, did_you_mean
from headrace.values.points import reach

_FORBIDDEN = frozenset(" ,;{}()\n\t=")
_TRIES = 5
_log = logging.getLogger("headrace")


class DeltaLake:
    """A destination whose rows become a Delta table in `directory`.

    `schema` are the columns of the rows as delivered (times naive UTC), `partition_by` some of
    them. What compaction replaced stays readable for `grace_seconds`.
    """

    def __init__(
        self,
        directory: Path,
        schema: pa.Schema,
        partition_by: tuple[str, ...] = (),
        *,
        grace_seconds: int = 3600,
    ) -> None:
        self.directory = directory
        self.schema = in_lake(schema)
        self.partition_by = partition_by
        self.grace_seconds = grace_seconds
        self._taken: tuple[Log, Entry] | None = None
        self._uncompacted = 0
        _check_names(self.schema, partition_by)

    def look(self, job: str) -> Claim | None:
        """Which start has opened the lake, and its mark; raises as `open`."""
        return look(self.directory, job)

    def open(self, job: str, incarnation: int) -> Mark | None:
        """Creates or loads the table, fences older incarnations, merges new columns.

        Raises StateRefused for another job's lake, a newer incarnation, another partitioning, or
        a column that changed or is gone; DiskRefused when the file system refuses.
        """
        retention = f"interval {self.grace_seconds} seconds"
        configuration = {"delta.deletedFileRetentionDuration": retention}
        newcomer = Entry(job, incarnation, None)
        with writing(self.directory):
            self._taken = self._take(configuration, newcomer)
        return self._taken[1].mark

    def _take(self, configuration: dict[str, str], newcomer: Entry) -> tuple[Log, Entry]:
        from deltalake.exceptions import CommitFailedError

        for tries_left in reversed(range(_TRIES)):
            try:
                return take(self.directory, self.schema, self.partition_by, configuration, newcomer)
            except CommitFailedError:
                # A rival wrote in between: look again at what is there now.
                if not tries_left:
                    raise
        raise AssertionError("the last try returns or raises")

    def deliver(self, rows: pa.Table, mark: Mark) -> int:
        """Lands `rows` and `mark` in one commit.

        A mark at or below the last one adds nothing: those rows are there, and count as landed.
        Raises StateRefused when another writer took over or `mark` is another job's, DiskRefused
        when the file system refuses, Unreachable when the table did not take the commit.
        """
        log, last = self._ready(mark)
        landed: int = rows.num_rows
        if mark.number <= last.number:
            return landed
        entry = Entry(last.job, last.incarnation, mark)
        with writing(self.directory):
            self._check_present()
            log.table.update_incremental()
            if self._landed(log, last, entry):
                # A commit whose outcome the caller did not learn: it only has to be durable.
                log.sync()
            else:
                self._append(log, rows, last, entry)
        self._taken = (log, entry)
        self._uncompacted += 1
        return landed

    def tidy(self, hurried: Callable[[], bool]) -> None:
        """Compaction and clean-up, now and then; what fails only waits, as what is hurried."""
        from deltalake.exceptions import DeltaError

        if self._taken is None:
            return
        log, entry = self._taken
        try:
            if self._uncompacted >= FILES_MIN:
                compact(log, entry, hurried)
                self._uncompacted = 0
            if not hurried():
                tidy(log, self.grace_seconds)
        except GaveWay:
            # It stays due.
            return
        except (DeltaError, OSError, HeadraceError) as error:
            self._uncompacted = 0
            _log.warning("tidying the lake %s waits: %s", self.directory, error)

    def refusals(self, after: int) -> tuple[Refusal, ...]:
        """None: a lake takes every row."""
        return ()

    def close(self) -> None:
        """Lets go of the table; nothing is waiting to be written."""
        self._taken = None

    def _ready(self, mark: Mark) -> tuple[Log, Entry]:
        if self._taken is None:
            raise StateRefused(f"The lake {self.directory} is not open", remedy="Call open first.")
        if mark.job != self._taken[1].job:
            raise StateRefused(
                f'The lake {self.directory} was opened by "{self._taken[1].job}", '
                f'the delivery is of "{mark.job}"'
            )
        return self._taken

    def _check_present(self) -> None:
        if not (self.directory / LOG).is_dir():
            raise StateRefused(
                f"The lake {self.directory} is gone: it was deleted while it was in use",
                remedy="Restore its directory from a backup, or begin a new generation.",
            )

    def _landed(self, log: Log, last: Entry, entry: Entry) -> bool:
        """Whether `entry` is in the log already; raises when a rival's is instead of ours."""
        number, incarnation = transactions(log.table, entry.job)
        if incarnation != entry.incarnation or number not in (last.number, entry.number):
            raise fenced(self.directory, incarnation, entry)
        if number != entry.number:
            return False
        found = last_entry(log.table)
        assert entry.mark is not None
        if found is None or found[0].mark is None or not entry.mark.is_same_delivery(found[0].mark):
            raise fenced(self.directory, incarnation, entry)
        return True

    def _append(self, log: Log, rows: pa.Table, last: Entry, entry: Entry) -> None:
        from deltalake.exceptions import DeltaError

        assert entry.mark is not None
        label = f"{entry.mark.generation}-{entry.mark.epoch}"
        stored = widened(rows.select(log.schema.names), log.schema)
        files = write_files(self.directory, stored, self.partition_by, label)
        reach("lake.files.synced")
        try:
            log.commit(entry, files)
        except (DeltaError, OSError):
            log.table.update_incremental()
            if not self._landed(log, last, entry):
                # On a full disk every try would leave its files behind until clean-up.
                remove_files(self.directory, files)
            raise


def _check_names(schema: pa.Schema, partition_by: tuple[str, ...]) -> None:
    for name in schema.names:
        if _FORBIDDEN & set(name):
            raise DefinitionError(
                f"A lake's column cannot be called {name!r}",
                remedy="Delta allows no space and none of , ; { } ( ) = in a name.",
            )
    for name in partition_by:
        if name not in schema.names:
            raise DefinitionError(
                f"The lake is to be partitioned by {name!r}, which its rows do not have",
                remedy=did_you_mean(name, schema.names),
            )
        type_ = schema.field(name).type
        if pa.types.is_nested(type_) or pa.types.is_decimal(type_) or pa.types.is_floating(type_):
            raise DefinitionError(
                f"A lake cannot be partitioned by {name!r}, which is {type_sql(type_)}",
                remedy="Partition by a date, a text, a whole number, a time or a truth value.",
            )
