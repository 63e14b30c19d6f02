"""What a system that keeps tables must do, as tests: a subclass gives the system, pytest runs it.

Besides what holds for every destination: upserts, deletes, smaller keys, generations. Each test
begins at a place where nothing is: let a fixture of the subclass make it.
"""

from __future__ import annotations

import random
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa

from headrace.storage.contract import Destination, System, Target
from headrace.testing.conformance import JOB, DestinationConformance, mark
from headrace.testing.model import Model, Row, Upserted, same

_START = datetime(2026, 1, 1)


class TableConformance(DestinationConformance):
    """The tests of a system that keeps tables; a subclass gives `system`, always the same one."""

    COLUMNS = (("k", "VARCHAR"), ("at", "TIMESTAMP"), ("v", "BIGINT"))
    WHOLE = Target(JOB, "conformance", "table", COLUMNS, ("k", "at"), required=("at",))
    SMALLER = Target(JOB, "latest", "table", COLUMNS, ("k",), order=("at",), required=("at",))
    aim: Target = WHOLE

    @abstractmethod
    def system(self) -> System:
        """The system under test."""

    def target(self, job: str = JOB) -> Target:
        return replace(self.aim, job=job)

    def make(self, job: str = JOB) -> Destination:
        return self.system().destination(self.target(job))

    def held(self) -> list[Row]:
        snapshot = self.system().snapshot([self.target()])
        try:
            found: list[Row] = snapshot.rows(self.target()).read_all().to_pylist()
        finally:
            snapshot.close()
        return found

    def rows(self, numbers: Sequence[int]) -> pa.Table:
        return changes([("u", f"k{n}", n, n) for n in numbers])

    def model(self) -> Model:
        return Upserted(self.aim.key, self.aim.order)

    def changes(self, dice: random.Random, number: int) -> pa.Table:
        keys = {(dice.choice((None, "", "a", "B", "é")), dice.randrange(4)) for _ in range(6)}
        listed = sorted(keys, key=repr)
        made = [(dice.choice("uud"), k, at, dice.choice((None, number))) for k, at in listed]
        return changes(sorted(made, key=lambda change: change[0]))

    def test_upserts_and_deletes(self) -> None:
        self._take([[("u", "a", 1, 1), ("u", "a", 2, 2), ("u", None, 1, 3)]])
        same(self.held(), self._rows(("a", 1, 1), ("a", 2, 2), (None, 1, 3)))
        second = [("d", None, 1, None), ("d", "z", 1, None), ("u", "a", 1, None), ("u", "b", 1, 5)]
        self._take([second], 2)
        same(self.held(), self._rows(("a", 1, None), ("a", 2, 2), ("b", 1, 5)))

    def test_a_smaller_key_has_the_greatest_row(self) -> None:
        self.aim = self.SMALLER
        self._take([[("u", "a", 2, 1), ("u", "a", 3, 2), ("u", "a", 1, 3)], [("u", "a", 2, 9)]])
        same(self.held(), self._rows(("a", 3, 2)))
        self._take([[("d", "a", 2, None)], [("u", "a", 3, 4)]], 2)
        same(self.held(), self._rows(("a", 3, 4)))
        self._take([[("d", "a", 3, None), ("u", "a", 1, 5)]], 3)
        same(self.held(), self._rows(("a", 1, 5)))

    def test_a_smaller_key_holds_what_the_model_does(self) -> None:
        self.aim = self.SMALLER
        self.test_whatever_is_delivered_it_holds_what_the_model_does()

    def test_a_greater_generation_replaces_the_table(self) -> None:
        with self.opened(1) as (handle, _):
            handle.deliver(self.step(1), mark(1))
            handle.deliver(self.step(2), mark(1, generation=2))
            handle.deliver(self.step(3), mark(2, generation=2))
        self.expect(2, 3)

    def _take(self, every: Sequence[list[tuple[Any, ...]]], incarnation: int = 1) -> None:
        with self.opened(incarnation) as (handle, _):
            for number, listed in enumerate(every):
                at = mark(incarnation * 10 + number)
                assert handle.deliver(changes(listed), at) == len(listed)

    def _rows(self, *listed: tuple[Any, ...]) -> Model:
        wanted = self.model()
        wanted.take(changes([("u", *values) for values in listed]), mark(1))
        return wanted


def changes(listed: Sequence[tuple[Any, ...]]) -> pa.Table:
    """Rows of (op, k, minutes, v) for the tables of `TableConformance`."""
    columns: list[list[Any]] = [list(c) for c in zip(*listed, strict=True)] or [[], [], [], []]
    columns[2] = [_START + timedelta(minutes=minutes) for minutes in columns[2]]
    types = {"_op": pa.string(), "k": pa.string(), "at": pa.timestamp("us"), "v": pa.int64()}
    return pa.table([pa.array(c) for c in columns], names=list(types)).cast(
        pa.schema(types.items())
    )
