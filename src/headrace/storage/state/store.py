"""A job's state: one DuckDB file, one process, one transaction per epoch.

Whatever an epoch changes (views, embedded tables, offsets, counters, the outbox) is committed
together and is on disk before anything leaves.
"""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from weakref import WeakSet

import duckdb

from headrace.plan.trying import LEFT_OUT
from headrace.storage.durable import make_directory, sync_directory
from headrace.storage.state.counters import Counters
from headrace.storage.state.damage import damage, damage_in_words, file_of, log_of, unreadable
from headrace.storage.state.migrations import MIGRATIONS
from headrace.storage.state.schema import FORMAT, TABLES, VIEWS
from headrace.values.errors import DiskRefused, HeadraceError, StateRefused, UsageError
from headrace.values.points import reach

FILE_NAME = "job.duckdb"
# Exported aggregate states belong to a version of the engine.
ENGINE_VERSION = ".".join(duckdb.__version__.split(".")[:2])
# A checkpoint stops the job for as long as it takes: while live it happens when nothing is there to
# read, and only after this much at the latest.
_LOG_BYTES_MAX = 256 << 20
_LOG_BYTES_IDLE = 8 << 20
# While catching up nobody waits for an epoch, and what the log holds is in memory with all that was
# replaced since: a checkpoint then costs what it saves, unless the file is large beside the log.
_LOG_BYTES_BUSY, _LOG_FILES_BUSY = 64 << 20, 2
# A holder that ends closes the file when the last who asked it lets go, or with its process.
_ENDING_SECONDS_MAX, _POLL_SECONDS = 10.0, 0.02
_NO_ROOM = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)
_DISK_ERRORS = (*_NO_ROOM, errno.EIO, errno.EROFS, errno.EACCES)
_MEND_DISK = "Make room or mend the permission, then run again: nothing is lost."

_ENGINE = (
    "set global timezone = 'UTC'",
    "set global error_on_division_by_zero = false",
    "set global preserve_insertion_order = true",
    f"set global disabled_optimizers = '{LEFT_OUT}'",
)


def configure(connection: duckdb.DuckDBPyConnection) -> None:
    """The settings under which expressions mean what semantics.md says, for all its cursors."""
    for statement in _ENGINE:
        connection.execute(statement)


def one_row(executed: duckdb.DuckDBPyConnection) -> tuple[Any, ...] | None:
    """The first row of what was executed; reads to the end, so the connection is free again."""
    rows = executed.fetchall()
    return rows[0] if rows else None


class StateStore:
    """Opens and keeps the state file in `directory`; `connection` is the writer's.

    `emptied` is for whoever opens it to drop what is in it, whatever engine wrote that.
    """

    def __init__(
        self, directory: Path, *, threads: int | None, memory_limit: str, emptied: bool = False
    ) -> None:
        self.path = directory / FILE_NAME
        self._emptied = emptied
        self._cursors: WeakSet[duckdb.DuckDBPyConnection] = WeakSet()
        self._cursors_lock = threading.Lock()
        self.connection = self._open(threads, memory_limit)
        with _closed_on_error(self.connection), disk_errors(self.path):
            self.counters = Counters(self.connection)

    def _open(self, threads: int | None, memory_limit: str) -> duckdb.DuckDBPyConnection:
        config: dict[str, Any] = {
            "memory_limit": memory_limit,
            "temp_directory": str(self.path.parent / "spill"),
            "checkpoint_threshold": f"{_LOG_BYTES_MAX >> 20}MB",
        }
        if threads is not None:
            config["threads"] = threads
        try:
            make_directory(self.path.parent)
            self._refuse_other_format()
            connection = self._connected(config)
        except OSError as error:
            raise DiskRefused(f"{self.path}: {error.strerror}", remedy=_MEND_DISK) from error
        except duckdb.Error as error:
            raise cannot_open(self.path, error) from error
        with _closed_on_error(connection), disk_errors(self.path):
            configure(connection)
            self._prepare(connection)
        return connection

    def _connected(self, config: dict[str, Any]) -> duckdb.DuckDBPyConnection:
        """The file, open; made where there is none."""
        begins = not self.path.exists()
        try:
            connection = connect_file(self.path, config=config)
        except duckdb.Error:
            if begins:
                # What there is of it holds nothing, and would be taken for a damaged one.
                self.path.unlink(missing_ok=True)
            raise
        if begins:
            # Before its log is begun: that without the file is no crash then.
            with _closed_on_error(connection):
                sync_directory(self.path.parent)
        return connection

    def _refuse_other_format(self) -> None:
        """Refuses a file that this version does not take on, before anything is written to it."""
        if not self.path.exists():
            if log_of(self.path).exists():
                raise unreadable(self.path, "is missing, though its log is beside it")
            return
        with connect_file(self.path, read_only=True) as connection:
            found = _facts(connection)
        if found.get("format") in MIGRATIONS:
            found["format"] = str(FORMAT)
        if self._emptied and "duckdb" in found:
            found["duckdb"] = ENGINE_VERSION
        refused = other_version(self.path, found) if found else None
        if refused is not None:
            raise refused

    def _prepare(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Makes the tables that are missing, in the present format."""
        # In one step: a file that says only half of what it is would be refused.
        connection.execute("begin")
        connection.execute(TABLES)
        written = _facts(connection).get("format")
        if written is None:
            rows = [("format", str(FORMAT)), ("duckdb", ENGINE_VERSION)]
            connection.executemany("insert into meta.facts values (?, ?)", rows)
        connection.execute("commit")
        if written is None:
            reach("state.created")
        while written in MIGRATIONS:
            written = self._migrated(connection, written)
        # Together, else each of them would wait for the disk.
        connection.execute(f"begin; {VIEWS}; commit")

    def _migrated(self, connection: duckdb.DuckDBPyConnection, written: str) -> str:
        """Takes a file on by one format, in one step; returns the new one."""
        now = str(int(written) + 1)
        connection.execute("begin")
        MIGRATIONS[written](connection)
        connection.execute("update meta.facts set value = ? where name = 'format'", [now])
        connection.execute("commit")
        reach("state.migrated")
        return now

    def fact(self, name: str) -> str | None:
        """A single value kept under `name`."""
        row = one_row(
            self.connection.execute("select value from meta.facts where name = ?", [name])
        )
        return None if row is None else str(row[0])

    def facts(self, beginning: str) -> dict[str, str]:
        """The values kept under names that begin so, by these names."""
        sql = "select name, value from meta.facts where starts_with(name, ?) order by name"
        return dict(self.connection.execute(sql, [beginning]).fetchall())

    def set_fact(self, name: str, value: str) -> None:
        """Keeps `value` under `name`."""
        self.connection.execute("insert or replace into meta.facts values (?, ?)", [name, value])

    def drop_fact(self, name: str) -> None:
        """Forgets what is kept under `name`."""
        self.connection.execute("delete from meta.facts where name = ?", [name])

    @contextmanager
    def transaction(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """One durable step: all of it or nothing."""
        connection, counters = self.connection, self.counters.copy()
        with disk_errors(self.path):
            connection.execute("begin")
            try:
                yield connection
                self.counters.write(connection)
                reach("state.before_commit")
                connection.execute("commit")
                reach("state.committed")
            except BaseException:
                self.counters = counters
                _rollback(connection)
                raise

    def count(self, counts: Iterable[tuple[str, str, str, int]]) -> None:
        """Adds (kind, name, counter, by) to the counters; in a transaction."""
        for kind, name, counter, by in counts:
            self.counters.add((kind, name, counter), by)

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """The rows of a query."""
        return self.connection.execute(sql, list(parameters)).fetchall()

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """A further connection to the same file, for another thread."""
        cursor = self.connection.cursor()
        with self._cursors_lock:
            self._cursors.add(cursor)
        return cursor

    def checkpoint_if_long(self, *, busy: bool = False) -> bool:
        """Takes what the log has gathered into the file, where that is much.

        For idle moments, when little is much, or while `busy` with catching up.
        """
        log, bytes_min = log_of(self.path), _LOG_BYTES_IDLE
        if busy:
            bytes_min = max(_LOG_BYTES_BUSY, _LOG_FILES_BUSY * self.path.stat().st_size)
        if not log.exists() or log.stat().st_size < bytes_min:
            return False
        with disk_errors(self.path):
            try:
                self.connection.execute("checkpoint")
            except duckdb.TransactionException:
                # Somebody is reading: another moment will come.
                return False
        reach("state.checkpointed")
        return True

    def __enter__(self) -> StateStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file; a checkpoint makes the next start quick.

        Whoever reads it in another thread is interrupted: until then it stays open.
        """
        end = time.monotonic() + _ENDING_SECONDS_MAX
        while True:
            try:
                self.connection.close()
                return
            except duckdb.ResourceInUseException:
                if time.monotonic() >= end:
                    return  # the end of the process closes it
            with self._cursors_lock:
                for cursor in self._cursors:
                    cursor.interrupt()
            time.sleep(_POLL_SECONDS)


def connect_file(path: Path, **options: Any) -> duckdb.DuckDBPyConnection:
    """The file, open. Whoever had the job's lock before may have it open for a moment yet."""
    end = time.monotonic() + _ENDING_SECONDS_MAX
    while True:
        try:
            return duckdb.connect(str(path), **options)
        except duckdb.Error as error:
            if not _is_open_elsewhere(error) or time.monotonic() >= end:
                raise
        time.sleep(_POLL_SECONDS)


def _is_open_elsewhere(error: duckdb.Error) -> bool:
    text = str(error)
    return "Could not set lock" in text or "onflicting lock" in text


def _facts(connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """What the file says of itself; nothing where it has only just been made."""
    try:
        return dict(connection.execute("select name, value from meta.facts").fetchall())
    except duckdb.CatalogException:
        return {}


@contextmanager
def _closed_on_error(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Left open, the file would be this process's for as long as the error is kept."""
    try:
        yield
    except BaseException:
        connection.close()
        raise


def _rollback(connection: duckdb.DuckDBPyConnection) -> None:
    try:
        connection.execute("rollback")
    except duckdb.Error:
        return


def other_version(path: Path, facts: Mapping[str, str]) -> StateRefused | None:
    """Why the file with these `facts` cannot be used by this version; None if it can."""
    if facts.get("format") != str(FORMAT):
        return StateRefused(
            f"{path} has format {facts.get('format')}, this version reads {FORMAT}",
            remedy="Use the version of Headrace that wrote it.",
        )
    if facts.get("duckdb") != ENGINE_VERSION:
        return StateRefused(
            f"{path} holds aggregate states of DuckDB {facts.get('duckdb')}, "
            f"this is {ENGINE_VERSION}",
            remedy="Begin a new generation, from the topics: headrace state reset APP",
        )
    return None


def cannot_open(path: Path, error: duckdb.Error) -> HeadraceError:
    """What the engine says of a file that it cannot open, in words."""
    text = str(error)
    if isinstance(error, duckdb.OutOfMemoryException):
        return _too_little_memory(error)
    if isinstance(error, duckdb.ParserException) and "WAL" not in text:
        # Of what it was told, not of the file, which it has not looked at.
        return UsageError(
            f"the engine does not take its settings: {text.splitlines()[0]}",
            remedy="See what they are: headrace settings",
        )
    damaged = damage(path, error)
    if damaged is not None:
        return damaged
    if _is_open_elsewhere(error):
        return StateRefused(
            f"{path} is open in another program",
            remedy="Close it there; while a job runs, ask it with: headrace query APP …",
        )
    no_room = any(os.strerror(number) in text for number in _NO_ROOM)
    if no_room or "ermission denied" in text or "read-only" in text.lower():
        return DiskRefused(f"{path} cannot be opened: {text.splitlines()[0]}", remedy=_MEND_DISK)
    first = text.splitlines()[0]
    return unreadable(file_of(path, first), f"cannot be read: {first}")


def _too_little_memory(error: duckdb.OutOfMemoryException) -> DiskRefused:
    first = str(error).splitlines()[0]
    return DiskRefused(
        f"the engine's memory limit is too small for this: {first}",
        remedy="Allow more: HEADRACE_MEMORY_LIMIT=2GB",
    )


@contextmanager
def state_in_words(path: Path) -> Iterator[None]:
    """For whoever works with the state at `path`: what is damaged, and what disk and memory refuse.

    As `damage_in_words` and `disk_errors`, which see one failure each.
    """
    with damage_in_words(path), disk_errors(path):
        yield


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """What the disk refuses, in words; nothing was committed then."""
    try:
        yield
    except (duckdb.IOException, duckdb.FatalException, duckdb.OutOfMemoryException) as error:
        refused = damage(path, error)
        if refused is not None:
            raise refused from error
        first = str(error).splitlines()[0]
        if isinstance(error, duckdb.OutOfMemoryException):
            raise _too_little_memory(error) from error
        raise DiskRefused(
            f"{path.parent} does not take what was to be written: {first}",
            remedy=_MEND_DISK,
        ) from error
    except duckdb.TransactionException as error:
        # So says a commit whose log could not be written.
        first = str(error).splitlines()[0]
        if not any(os.strerror(number) in first for number in _DISK_ERRORS):
            raise
        raise DiskRefused(
            f"{path.parent} does not take what was to be written: {first}", remedy=_MEND_DISK
        ) from error
