"""A job's output into a table of PostgreSQL: rows and mark in one transaction.

Invariants: the output's row in `headrace_marks` is locked and compared before anything changes; a
number lands once, however often it is delivered; after a newer start has opened the output, older
ones change nothing; readers see a table before a delivery or after it, also when it is replaced.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import duckdb
import pyarrow as pa

from headrace.storage.contract import Claim, Mark, Refusal, Target
from headrace.storage.postgres import catalog
from headrace.storage.postgres.address import Address, driver
from headrace.storage.postgres.changes import Changes
from headrace.storage.postgres.failures import is_changed_table, is_locked, is_referred_to
from headrace.storage.postgres.landing import Landing
from headrace.storage.postgres.marks import MARKS, Ledger, Present
from headrace.storage.postgres.opening import check_table, prepare
from headrace.storage.postgres.replacing import Replacing
from headrace.storage.postgres.session import LOCK_TIMEOUT_SECONDS, Session
from headrace.storage.postgres.shape import Shape
from headrace.storage.postgres.staged import stage
from headrace.values.errors import DestinationBehind, StateRefused
from headrace.values.points import reach


class PostgresTable:
    """The destination for a target of the role table.

    Raises DefinitionError where its names or types have no place in PostgreSQL.
    """

    def __init__(
        self, address: Address, target: Target, *, lock_seconds: float = LOCK_TIMEOUT_SECONDS
    ) -> None:
        self.target = target
        self._shape = Shape(target)
        self._address = address
        self._session = Session(address, target.job, target.name, lock_seconds)
        self._incarnation = -1
        self._last: Mark | None = None
        self._staged_on = 0
        self._schema = ""
        # The columns as they were found fit for rows.
        self._outline = ""
        self._local = duckdb.connect(config={"threads": 1})

    def look(self, job: str) -> Claim | None:
        """Who has opened the output, and the mark; no mark where the table was dropped.

        Raises StateRefused when another job has it, and Unreachable.
        """
        self._check_job(job)
        with self._session.use(f"look at {self._named.lower()}", opening=True) as connection:
            self._schema = catalog.schema_of(connection, self._address.schema)
            if catalog.relation(connection, self._schema, MARKS) is None:
                return None
            present = self._ledger.read(connection, lock=False)
            if present is None:
                return None
            self._check_theirs(present)
            gone = catalog.relation(connection, self._schema, self.target.name) is None
        return Claim(present.incarnation, None if gone else present.mark)

    def open(self, job: str, incarnation: int) -> Mark | None:
        """Makes or checks the table, fences older incarnations, returns the mark that is there.

        A table that was dropped is made again, and has no mark. Raises StateRefused when a newer
        incarnation or another job has it, when the table does not fit or a right is missing, and
        Unreachable.
        """
        self._check_job(job)
        self._incarnation = incarnation
        with self._session.use(f"open {self._named.lower()}", opening=True) as connection:
            self._schema = prepare(connection, self._shape, self._address.schema)
            self._outline = catalog.outline(connection, self._schema, self.target.name)
            reach("postgres.created")
            self._check_owner(self._ledger.read(connection, lock=False))
            try:
                self._last = self._take(connection)
            except driver().Error as error:
                if not is_locked(error):
                    raise
                self._end_older(connection)
                self._last = self._take(connection)
        reach("postgres.opened")
        return self._last

    def deliver(self, rows: pa.Table, mark: Mark) -> int:
        """Lands `rows` and `mark` in one transaction; how many rows were not refused.

        A mark of a greater generation replaces the table. Raises StateRefused when another start
        took over or the table was changed, Unreachable when trying again may help.
        """
        return self._in_one_step(lambda connection: self._land(connection, rows, mark), mark)

    def replace(self, rows: pa.RecordBatchReader, mark: Mark) -> int:
        """Makes `rows` all that the table has, with `mark`, in one transaction; how many landed.

        Raises as `deliver`, and StateRefused for a mark below the one that is there.
        """
        return self._in_one_step(lambda connection: self._replace(connection, rows, mark), mark)

    def _in_one_step(self, step: Callable[[Any], int], mark: Mark) -> int:
        """Runs `step`, which lands rows with `mark`, and returns what it returns."""
        if mark.job != self.target.job:
            raise StateRefused(f'{self._named} is of "{self.target.job}", not of "{mark.job}"')
        with self._session.use(f"deliver to {self._named.lower()}") as connection:
            self._make_staging(connection)
            try:
                landed = step(connection)
            except driver().Error as error:
                if is_changed_table(error):
                    check_table(connection, self._shape, self._schema)
                if is_locked(error):
                    self._end_older(connection)
                raise
        reach("postgres.committed")
        if self._last is None or mark.number > self._last.number:
            self._last = mark
        return landed

    def refusals(self, after: int) -> Sequence[Refusal]:
        """The rows refused with marks whose number is greater than `after`, in their order."""
        with self._session.use(f"read the refused rows of {self._named.lower()}") as connection:
            return self._ledger.refusals(connection, after)

    def close(self) -> None:
        """Closes the connection."""
        self._session.close()

    @property
    def _named(self) -> str:
        return f'Table "{self.target.name}"'

    @property
    def _ledger(self) -> Ledger:
        return Ledger(self._schema, self.target.job, self.target.name)

    @property
    def _changes(self) -> Changes:
        return Changes(self._shape, self._schema)

    def _take(self, connection: Any) -> Mark | None:
        """Takes the output for this incarnation; the mark that is there."""
        with connection.transaction():
            present = self._ledger.read(connection, lock=True)
            self._check_owner(present)
            mark = None if present is None else present.mark
            if mark is None:
                self._check_empty(connection)
            self._ledger.begin(connection, self._incarnation)
        return mark

    def _check_job(self, job: str) -> None:
        if job != self.target.job:
            raise StateRefused(f'{self._named} belongs to the job "{self.target.job}", not "{job}"')

    def _check_theirs(self, present: Present) -> None:
        if present.job != self.target.job:
            raise StateRefused(
                f'{self._named} belongs to the job "{present.job}"',
                remedy="Name the output otherwise, or give the job a schema of its own: "
                "postgresql://…/database?schema=NAME",
            )

    def _check_owner(self, present: Present | None) -> None:
        """Raises StateRefused when the output is another job's or a newer start's."""
        if present is None:
            return
        self._check_theirs(present)
        if present.incarnation > self._incarnation:
            raise StateRefused(
                f'{self._named} was taken over: the job "{self.target.job}" runs elsewhere, as its '
                f"start number {present.incarnation} (this one is number {self._incarnation})",
                remedy="Run it with the data directory that it was run with before; this one "
                "delivers nothing.",
            )

    def _check_empty(self, connection: Any) -> None:
        (filled,) = connection.execute(
            f"select exists (select from {self._changes.table})"
        ).fetchone()
        if filled:
            raise StateRefused(
                f'{self._named} has rows that the job "{self.target.job}" did not write',
                remedy=f"Empty it (truncate {self._changes.table};), or name the output otherwise.",
            )

    def _end_older(self, connection: Any) -> None:
        """Ends connections that were left in the middle: an older start's, or lost ones of this.

        A server may not notice for long that nobody is at the other end, and holds the lock.
        """
        self._check_owner(self._ledger.read(connection, lock=False))
        self._session.end_others()

    def _make_staging(self, connection: Any) -> None:
        if self._staged_on == self._session.times_connected:
            return
        with connection.transaction():
            # A pool may hand on a connection on which somebody was before.
            connection.execute("drop table if exists pg_temp.headrace_staging")
            connection.execute("drop table if exists pg_temp.headrace_failed")
            for statement in self._changes.staging_sql():
                connection.execute(statement)
        self._staged_on = self._session.times_connected

    def _land(self, connection: Any, rows: pa.Table, mark: Mark) -> int:
        count: int = rows.num_rows
        with connection.transaction():
            present = self._there(self._ledger.read(connection, lock=True), mark)
            if present is not None and mark.number <= present.number:
                return count - self._ledger.refused_count(connection, mark.number)
            connection.execute("set constraints all immediate")
            staged = stage(rows, self.target, self._local)
            anew = present is not None and mark.generation > present.generation
            if anew and not self._emptied(connection):
                _, refused = self._replacing(connection).replace(staged.only_upserts())
            else:
                reasons = Landing(self._shape, self._changes, connection, self._local).land(staged)
                refused = staged.refused(reasons, self.target.key) if reasons else []
            if refused:
                self._ledger.refuse(connection, mark.number, refused)
            self._check_outline(connection)
            reach("postgres.applied")
            landed = count - len(refused)
            self._ledger.write(connection, mark, self._incarnation, count, landed)
            reach("postgres.marked")
        return landed

    def _emptied(self, connection: Any) -> bool:
        """Deletes all rows; False where rows of another table refer to some: those may come again.

        Mostly they do, and to replace them one by one meets other constraints.
        """
        try:
            with connection.transaction():
                connection.execute(f"delete from {self._changes.table}")
        except driver().Error as error:
            if not is_referred_to(error):
                raise
            return False
        reach("postgres.emptied")
        return True

    def _replacing(self, connection: Any) -> Replacing:
        return Replacing(self._shape, self._changes, connection, self._local)

    def _replace(self, connection: Any, rows: pa.RecordBatchReader, mark: Mark) -> int:
        with connection.transaction():
            present = self._there(self._ledger.read(connection, lock=True), mark)
            if present is not None and mark.number < present.number:
                raise StateRefused(
                    f"{self._named} has epoch {present.generation}.{present.epoch}, it is not "
                    f"replaced by what was there in epoch {mark.generation}.{mark.epoch}"
                )
            connection.execute("set constraints all immediate")
            count, refused = self._replacing(connection).replace(rows)
            self._ledger.forget_refused(connection)
            self._ledger.refuse(connection, mark.number, refused)
            self._check_outline(connection)
            reach("postgres.replaced")
            landed = count - len(refused)
            self._ledger.write(connection, mark, self._incarnation, count, landed)
            reach("postgres.replacement.marked")
        return landed

    def _check_outline(self, connection: Any) -> None:
        """Raises StateRefused where the columns were altered so that rows do not fit any more.

        A value would land as something else, rounded or cut. The table is in use by now: nobody
        can alter it before the transaction ends.
        """
        outline = catalog.outline(connection, self._schema, self.target.name)
        if outline != self._outline:
            check_table(connection, self._shape, self._schema)
            self._outline = outline

    def _there(self, present: Present | None, mark: Mark) -> Mark | None:
        """The mark that is there; StateRefused unless this writer left it, or `mark` itself."""
        self._check_owner(present)
        number = -1 if present is None or present.mark is None else present.mark.number
        expected = -1 if self._last is None else self._last.number
        if present is None or number < expected:
            raise DestinationBehind(
                f"{self._named} lost deliveries that it had taken: the database is an older one, "
                "restored from a backup or failed over",
                remedy="Start the job again: it looks at what is there and gives it the rest.",
            )
        repeated = present.mark is not None and mark.is_same_delivery(present.mark)
        if number != expected and not repeated:
            raise StateRefused(
                f'{self._named} was taken over: the job "{self.target.job}" runs elsewhere, as '
                "another process with the same state",
                remedy="Let one of them run only; this one delivers nothing more.",
            )
        return present.mark
