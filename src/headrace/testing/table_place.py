"""A place for tables as the tests of tables see it: how to reach it, and rows in plain words."""

from __future__ import annotations

import random
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import duckdb
import pyarrow as pa

from headrace.storage.contract import Destination, System, TableDestination, Target
from headrace.testing.asked import JOB, mark
from headrace.testing.conformance import DestinationConformance
from headrace.testing.model import Model, Row, Upserted
from headrace.values.schema import quote

_START = datetime(2026, 1, 1)


class TablePlace(DestinationConformance):
    """Where the tests of tables work; `aim` is the table that they work with."""

    COLUMNS = (("k", "VARCHAR"), ("at", "TIMESTAMP"), ("v", "BIGINT"))
    WHOLE = Target(JOB, "conformance", "table", COLUMNS, ("k", "at"), required=("at",))
    SMALLER = Target(JOB, "latest", "table", COLUMNS, ("k",), order=("at",), required=("at",))
    aim: Target = WHOLE

    @abstractmethod
    def system(self) -> System:
        """The system under test."""

    def backup(self) -> Callable[[], None] | None:
        """Copies all that is there, marks too; what it returns puts the copy back in its place."""
        return None

    def target(self, job: str = JOB) -> Target:
        return replace(self.aim, job=job)

    def make(self, job: str = JOB) -> Destination:
        return self.system().destination(self.target(job))

    def shown(self) -> pa.Table:
        """The table as a snapshot of now gives it."""
        snapshot = self.system().snapshot([self.target()])
        try:
            return snapshot.rows(self.target()).read_all()
        finally:
            snapshot.close()

    def held(self) -> list[Row]:
        found: list[Row] = self.shown().to_pylist()
        return found

    def rows(self, numbers: Sequence[int]) -> pa.Table:
        return changes([("u", f"k{n}", n, n) for n in numbers])

    def model(self) -> Upserted:
        return Upserted(self.aim.key, self.aim.order)

    def changes(self, dice: random.Random, number: int) -> pa.Table:
        keys = {(dice.choice((None, "", "a", "B", "é")), dice.randrange(4)) for _ in range(6)}
        listed = sorted(keys, key=repr)
        dice.shuffle(listed)
        return changes(
            [(dice.choice("uud"), k, at, dice.choice((None, number))) for k, at in listed]
        )

    def take(self, every: Sequence[list[tuple[Any, ...]]], incarnation: int = 1) -> None:
        """Opens, and delivers each list of `changes`."""
        with self.opened(incarnation) as (handle, _):
            for number, listed in enumerate(every):
                at = mark(incarnation * 10 + number)
                assert handle.deliver(changes(listed), at) == len(listed)

    def wanted(self, *listed: tuple[Any, ...]) -> Model:
        """A table that has these rows of (k, minutes, v)."""
        model = self.model()
        model.take(changes([("u", *values) for values in listed]), mark(1))
        return model


def as_table(handle: Destination) -> TableDestination:
    """`handle`, which can replace all of its rows."""
    assert isinstance(handle, TableDestination), "a table can be replaced"
    return handle


def plain(listed: Sequence[tuple[Any, ...]]) -> pa.Table:
    """Rows of (k, minutes, v), as a replacement has them."""
    return changes([("u", *row) for row in listed]).drop_columns(["_op"])


def reader(listed: Sequence[tuple[Any, ...]]) -> pa.RecordBatchReader:
    """The same in several batches."""
    rows = plain(listed)
    return pa.RecordBatchReader.from_batches(rows.schema, rows.to_batches(max_chunksize=300))


def changes(listed: Sequence[tuple[Any, ...]]) -> pa.Table:
    """Rows of (op, k, minutes, v) for the tables of `TablePlace`."""
    columns: list[list[Any]] = [list(c) for c in zip(*listed, strict=True)] or [[], [], [], []]
    columns[2] = [_START + timedelta(minutes=minutes) for minutes in columns[2]]
    types = {"_op": pa.string(), "k": pa.string(), "at": pa.timestamp("us"), "v": pa.int64()}
    return pa.table([pa.array(c) for c in columns], names=list(types)).cast(
        pa.schema(types.items())
    )


def delivery(of: Target, listed: Sequence[str]) -> pa.Table:
    """Rows for `of`, each the SQL of its values: `_op`, then the columns in their order."""
    columns = [("_op", "VARCHAR"), *of.columns]
    types = ", ".join(f"cast({quote(name)} as {type_}) as {quote(name)}" for name, type_ in columns)
    names = ", ".join(quote(name) for name, _ in columns)
    values = ", ".join(f"({row})" for row in listed)
    with duckdb.connect() as connection:
        made = connection.sql(f"select {types} from (values {values}) t({names})")
        return made.to_arrow_table()
