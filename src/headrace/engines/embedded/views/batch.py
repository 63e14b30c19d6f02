"""What a view is given in an epoch, and what it gives back."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from headrace.plan.operators import View
from headrace.storage.state.store import one_row
from headrace.values.schema import quote


@dataclass(frozen=True)
class Batch:
    """The events of one source in one epoch.

    `relation` is SQL for the events with all own columns; `before_us` and `watermark_us` are the
    source's watermark at the start of the epoch and after it. `late_possible` is false when no
    event lies below what it sees, so that nobody need look for late ones.
    `greatest_us` are the partitions' greatest times after the epoch. `emit` asks sliding views
    to show what has changed since they last did.
    """

    events: pa.Table
    relation: str
    columns: tuple[str, ...]
    before_us: int
    watermark_us: int
    late_possible: bool
    emit: bool
    greatest_us: dict[int, int]
    lateness_us: int


@dataclass
class Outcome:
    """What became of a view's records in an epoch.

    `counts` are records by verdict, `row_counts` rows by verdict (the same unless exploded),
    `reasons` filtered records by reason. `late` are `_row`s; `failed` has
    (`_row`, `_reason`), `failed_results` counts results that could not be computed. `changes`
    and `finals` name relations of rows: `_op` and the columns. `upserts` is the number of rows in
    `changes` where it is known that they are all upserts, by different keys of the view.
    """

    counts: dict[str, int] = field(default_factory=dict)
    row_counts: dict[str, int] = field(default_factory=dict)
    reasons: dict[str, int] = field(default_factory=dict)
    late: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    failed: pa.Table | None = None
    failed_results: int = 0
    changes: str | None = None
    upserts: int | None = None
    finals: str | None = None


# No name holds it, so that a part of one view's state is never another view's.
_PART = ":"


def state_name(view: str, part: str = "") -> str:
    """The table of the state schema that holds `part` of a view's state."""
    return "state." + quote(view + (f"{_PART}{part}" if part else ""))


def drop_state(connection: duckdb.DuckDBPyConnection, view: str) -> None:
    """Drops all of a view's state, whatever definition made it."""
    for name in _tables(connection, view):
        connection.execute(f"drop table state.{quote(name)}")


def drop_other_states(connection: duckdb.DuckDBPyConnection, readers: Collection[str]) -> None:
    """Drops all state that is none of `readers`."""
    found = connection.execute(
        f"select table_name, split_part(table_name, '{_PART}', 1) from information_schema.tables "
        "where table_schema = 'state'"
    ).fetchall()
    for name, reader in found:
        if reader not in readers:
            connection.execute(f"drop table state.{quote(name)}")


def rename_state(connection: duckdb.DuckDBPyConnection, view: str, new: str) -> None:
    """Makes all of a view's state that of a view by the name `new`, which has none."""
    for name in _tables(connection, view):
        renamed = new + name.removeprefix(view)
        connection.execute(f"alter table state.{quote(name)} rename to {quote(renamed)}")


def _tables(connection: duckdb.DuckDBPyConnection, view: str) -> list[str]:
    found = connection.execute(
        "select table_name from information_schema.tables where table_schema = 'state' "
        f"and split_part(table_name, '{_PART}', 1) = ?",
        [view],
    ).fetchall()
    return [name for (name,) in found]


def temp_name(view: str, part: str) -> str:
    """A temporary table of a view, made anew in each epoch."""
    return "temp." + quote(f"{view}.{part}")


def make_temp(connection: duckdb.DuckDBPyConnection, name: str, sql: str) -> str:
    """Fills the temporary table `name`; returns the name."""
    connection.execute(f"create or replace temp table {name} as {sql}")
    return name


def make_state(connection: duckdb.DuckDBPyConnection, name: str, sql: str) -> None:
    """Creates an empty state table with the columns of `sql`, unless it is there."""
    connection.execute(f"create table if not exists {name} as select * from ({sql}) limit 0")


def count(connection: duckdb.DuckDBPyConnection, sql: str) -> int:
    """The number of rows of a relation."""
    row = one_row(connection.execute(f"select count(*) from {sql}"))
    return int(row[0]) if row else 0


def failed_results(
    connection: duckdb.DuckDBPyConnection, view: View, outcome: Outcome, emits: Collection[str]
) -> int:
    """How many results are null because they could not be computed, in the rows of an epoch.

    Final rows count only where nobody takes changes: else they have been counted as such.
    """
    rows = outcome.changes if "changes" in emits else outcome.finals
    if rows is None or not any(r.expression.can_fail for r in view.results):
        return 0
    row = one_row(connection.execute(f"select coalesce(sum(_failed), 0) from {rows}"))
    return int(row[0]) if row else 0
