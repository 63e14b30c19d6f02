"""A system of somebody else: tables in a SQLite file, under the scheme `sqlite`.

It stands for what a third party writes, and keeps the contract with the least code that does. The
tests install it as a package of its own; it imports nothing of theirs.
"""

from __future__ import annotations

import pickle
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any
from urllib.parse import urlsplit

import duckdb
import pyarrow as pa

from headrace import DestinationBehind, StateRefused, Unreachable
from headrace.storage.contract import Claim, Finding, Mark, Refusal, Target

TABLES = (
    "create table if not exists marks (name primary key, job, incarnation, mark)",
    "create table if not exists held (name, key, row, primary key (name, key))",
)


@contextmanager
def transaction(path: str) -> Iterator[sqlite3.Connection]:
    """Everything in the block, or nothing; the errors of SQLite as Headrace's."""
    try:
        with closing(sqlite3.connect(path, timeout=0.5, isolation_level=None)) as connection:
            connection.execute("pragma synchronous = full")
            connection.execute("begin immediate")
            for statement in TABLES:
                connection.execute(statement)
            yield connection
            connection.execute("commit")
    except sqlite3.OperationalError as error:
        raise Unreachable(f"SQLite at {path} does not answer: {error}") from error


class SqliteTable:
    """The destination for one table."""

    def __init__(self, path: str, target: Target) -> None:
        self._path, self._target = path, target
        self._incarnation = -1
        self._last = -1

    def look(self, job: str) -> Claim | None:
        with transaction(self._path) as connection:
            return self._claim(connection)

    def open(self, job: str, incarnation: int) -> Mark | None:
        self._incarnation = incarnation
        with transaction(self._path) as connection:
            mark = self._mark(connection)
            self._note(connection, mark)
        self._last = -1 if mark is None else mark.number
        return mark

    def deliver(self, rows: pa.Table, mark: Mark) -> int:
        count: int = rows.num_rows
        with transaction(self._path) as connection:
            present = self._present(connection, mark)
            if present is not None and mark.number <= present.number:
                return count
            if present is not None and mark.generation > present.generation:
                connection.execute("delete from held where name = ?", [self._target.name])
            # A smaller key's row that is withdrawn makes room for a lower one.
            self._apply(connection, sorted(rows.to_pylist(), key=lambda change: change["_op"]))
            self._note(connection, mark)
        self._last = mark.number
        return count

    def replace(self, rows: pa.RecordBatchReader, mark: Mark) -> int:
        count = 0
        with transaction(self._path) as connection:
            present = self._present(connection, mark)
            if present is not None and mark.number < present.number:
                raise StateRefused(f'Table "{self._target.name}" has a later epoch already')
            connection.execute("delete from held where name = ?", [self._target.name])
            for batch in rows:
                changes = [{"_op": "u"} | row for row in batch.to_pylist()]
                self._apply(connection, changes)
                count += len(changes)
            self._note(connection, mark)
        self._last = mark.number
        return count

    def refusals(self, after: int) -> Sequence[Refusal]:
        return ()

    def close(self) -> None:
        """Nothing stays open between two transactions."""

    def _claim(self, connection: sqlite3.Connection) -> Claim | None:
        sql = "select job, incarnation, mark from marks where name = ?"
        found = connection.execute(sql, [self._target.name]).fetchone()
        if found is None:
            return None
        job, incarnation, mark = found
        if job != self._target.job:
            raise StateRefused(f'Table "{self._target.name}" belongs to the job "{job}"')
        return Claim(incarnation, pickle.loads(mark))

    def _mark(self, connection: sqlite3.Connection) -> Mark | None:
        """The mark that is there; StateRefused when it is not ours to follow."""
        claim = self._claim(connection)
        if claim is None:
            return None
        if claim.incarnation > self._incarnation:
            raise StateRefused(
                f'Table "{self._target.name}" was taken over by start number {claim.incarnation}'
            )
        return claim.mark

    def _present(self, connection: sqlite3.Connection, mark: Mark) -> Mark | None:
        """The mark that is there; raises unless this handle left it, or `mark` itself is there."""
        if mark.job != self._target.job:
            raise StateRefused(f'Table "{self._target.name}" is not of the job "{mark.job}"')
        present = self._mark(connection)
        number = -1 if present is None else present.number
        if number < self._last:
            raise DestinationBehind(f'Table "{self._target.name}" is an older one, restored')
        if number not in (self._last, mark.number):
            raise StateRefused(f'Table "{self._target.name}" was written by another process')
        return present

    def _note(self, connection: sqlite3.Connection, mark: Mark | None) -> None:
        of = self._target
        row = (of.name, of.job, self._incarnation, pickle.dumps(mark))
        connection.execute("replace into marks values (?, ?, ?, ?)", row)

    def _apply(self, connection: sqlite3.Connection, changes: list[dict[str, Any]]) -> None:
        name = self._target.name
        for change in changes:
            op = change.pop("_op")
            key = repr([change[column] for column in self._target.key])
            sql = "select row from held where name = ? and key = ?"
            found = connection.execute(sql, [name, key]).fetchone()
            there = None if found is None else self._rank(pickle.loads(found[0]))
            if op == "u" and (there is None or there <= self._rank(change)):
                row = (name, key, pickle.dumps(change))
                connection.execute("replace into held values (?, ?, ?)", row)
            elif op == "d" and there == self._rank(change):
                connection.execute("delete from held where name = ? and key = ?", [name, key])

    def _rank(self, row: Mapping[str, Any]) -> list[Any]:
        return [(row[c] is not None, row[c]) for c in self._target.order]


class SqliteSnapshot:
    """All rows, read at once."""

    def __init__(self, path: str) -> None:
        with transaction(path) as connection:
            self._held = connection.execute("select name, row from held").fetchall()

    def rows(self, target: Target) -> pa.RecordBatchReader:
        listed = ", ".join(f'null::{type_} as "{name}"' for name, type_ in target.columns)
        with duckdb.connect() as connection:
            schema = connection.sql(f"select {listed} limit 0").to_arrow_table().schema
        rows = [pickle.loads(row) for name, row in self._held if name == target.name]
        return pa.Table.from_pylist(rows, schema=schema).to_reader()

    def close(self) -> None:
        """Nothing is open."""


class SqliteSystem:
    """The file at `sqlite:/path/to/file`."""

    def __init__(self, url: str) -> None:
        self.address = url
        self._path = urlsplit(url).path

    def destination(self, target: Target) -> SqliteTable:
        return SqliteTable(self._path, target)

    def snapshot(self, targets: Sequence[Target]) -> SqliteSnapshot:
        return SqliteSnapshot(self._path)

    def findings(self, targets: Sequence[Target], topics: Mapping[str, int]) -> list[Finding]:
        try:
            with transaction(self._path):
                return [Finding("ok", self.address, f"SQLite {sqlite3.sqlite_version}")]
        except Unreachable as error:
            mend = "See who holds the file."
            silent = Finding("error", self.address, error.what, mend, unreachable=True)
            return [silent]

    def close(self) -> None:
        """Nothing is open."""
