"""Staged rows into a table: all at once, and if one is refused, around those that are.

Invariant: either every row has changed the table or is among the refused ones, or an error that
may pass was raised and the caller's transaction is rolled back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import duckdb
import pyarrow as pa

from headrace.storage.postgres.address import driver
from headrace.storage.postgres.changes import FAILED, POSITION, Changes, Source, within
from headrace.storage.postgres.encode import copy_stream
from headrace.storage.postgres.failures import is_of_the_row, joined, reason
from headrace.storage.postgres.shape import Shape
from headrace.storage.postgres.staged import Staged
from headrace.storage.postgres.types import Kind
from headrace.values.points import reach

# Below that many rows each is tried alone, inside the server.
_ALONE_ROWS = 4_096
_STAGED = (Kind("boolean", "boolean"), Kind("integer", "integer"))


class Landing:
    """Lands rows in one table over one connection, inside its transaction."""

    def __init__(
        self, shape: Shape, changes: Changes, connection: Any, local: duckdb.DuckDBPyConnection
    ) -> None:
        self._changes, self._connection, self._local = changes, connection, local
        self._kinds = [*_STAGED, *shape.kinds]

    def land(self, staged: Staged) -> dict[int, str]:
        """Applies the rows; the positions of those that were refused, with the server's words."""
        if not len(staged.upsert):
            return {}
        wire = staged.wire()
        refused = self._tried(lambda: self._whole(staged, wire))
        return {} if refused is None else self._carefully(staged, wire)

    def _whole(self, staged: Staged, wire: pa.Table) -> None:
        self._copy(wire)
        reach("postgres.copied")
        for statement in self._statements(staged, Source()):
            self._connection.execute(statement)

    def _statements(self, staged: Staged, source: Source) -> list[str]:
        made = [self._changes.delete_sql(source, nulls) for nulls in staged.delete_nulls]
        return [*made, self._changes.upsert_sql(source)] if staged.upserts else made

    def _copy(self, wire: pa.Table) -> None:
        with self._connection.cursor().copy(self._changes.copy_sql()) as copy:
            for piece in copy_stream(wire, self._kinds, self._local):
                copy.write(piece)

    def _tried(self, action: Callable[[], None]) -> str | None:
        """Runs `action` in a savepoint; the reason if a row was refused, and nothing is changed."""
        error_type = driver().Error
        try:
            with self._connection.transaction():
                action()
        except error_type as error:
            if not is_of_the_row(error):
                raise
            return reason(error)
        return None

    def copy(self, wire: pa.Table) -> dict[int, str]:
        """Stages rows; the positions of those that cannot be sent, with the server's words."""
        refused = self._tried(lambda: self._copy(wire))
        return {} if refused is None else self._copy_around(wire)

    def apply(
        self, together: Callable[[Source], list[str]], alone: list[str], span: tuple[int, int]
    ) -> dict[int, str]:
        """Runs statements over the staged rows at positions of `span`; those that are refused.

        `together` makes them for many rows, `alone` are the same for one.
        """
        if self._tried(lambda: self._run(together(Source()))) is None:
            return {}
        self._apply_around(together, alone, span)
        return self._failed()

    def _carefully(self, staged: Staged, wire: pa.Table) -> dict[int, str]:
        refused = self._copy_around(wire)
        deletes = [self._changes.delete_sql(Source(None), n) for n in staged.delete_nulls]
        if deletes:
            self._apply_around(
                lambda source: [self._changes.delete_sql(source, n) for n in staged.delete_nulls],
                deletes,
                (0, len(wire)),
            )
        if staged.upserts:
            self._apply_around(
                lambda source: [self._changes.upsert_sql(source)],
                [self._changes.upsert_sql(Source(None))],
                (0, len(wire)),
            )
        return refused | self._failed()

    def _failed(self) -> dict[int, str]:
        failed = self._connection.execute(f"select {POSITION}, message, detail from {FAILED}")
        return {at: joined(message, detail) for at, message, detail in failed.fetchall()}

    def _copy_around(self, wire: pa.Table) -> dict[int, str]:
        """Copies what can be copied: a text with a NUL, a time too far away cannot be sent."""
        refused: dict[int, str] = {}
        pieces = [wire]
        while pieces:
            piece = pieces.pop()
            said = self._tried(lambda piece=piece: self._copy(piece))  # type: ignore[misc]
            if said is None:
                continue
            if len(piece) == 1:
                refused[piece.column("_position")[0].as_py()] = said
                continue
            half = len(piece) // 2
            pieces += [piece.slice(half), piece.slice(0, half)]
        return refused

    def _apply_around(
        self, together: Callable[[Source], list[str]], alone: list[str], span: tuple[int, int]
    ) -> None:
        """Applies the rows at positions of `span`, in halves where one of them is refused."""
        spans = [span]
        while spans:
            start, stop = spans.pop()
            if stop - start <= _ALONE_ROWS:
                self._connection.execute(self._changes.one_by_one_sql(alone, start, stop))
                continue
            statements = together(Source(condition=within("s", start, stop)))
            if self._tried(lambda run=statements: self._run(run)) is not None:  # type: ignore[misc]
                middle = (start + stop) // 2
                spans += [(middle, stop), (start, middle)]

    def _run(self, statements: list[str]) -> None:
        for statement in statements:
            self._connection.execute(statement)
