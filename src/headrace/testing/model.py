"""What a destination ought to hold, in plain Python: the oracle of the conformance suite."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias

import pyarrow as pa

from headrace.storage.contract import Mark

Row: TypeAlias = dict[str, Any]


class Model(Protocol):
    """Takes deliveries as a destination does."""

    number: int

    def take(self, rows: pa.Table, mark: Mark) -> None:
        """Adds nothing unless `mark` is greater than the last one."""

    def rows(self) -> list[Row]:
        """What is there, in any order."""


class Kept:
    """Every row stays."""

    def __init__(self) -> None:
        self.number = -1
        self._rows: list[Row] = []

    def take(self, rows: pa.Table, mark: Mark) -> None:
        """Appends the rows of a new mark."""
        if mark.number > self.number:
            self._rows += rows.to_pylist()
            self.number = mark.number

    def rows(self) -> list[Row]:
        """All that was taken."""
        return self._rows


class Upserted:
    """A row for each `key`: the last, or where there is an `order`, the greatest in it."""

    def __init__(self, key: Sequence[str], order: Sequence[str]) -> None:
        self.number = -1
        self._key, self._order = key, order
        self._rows: dict[tuple[Any, ...], Row] = {}

    def take(self, rows: pa.Table, mark: Mark) -> None:
        """Applies the deletes, then the upserts; a greater generation begins from nothing."""
        if mark.number <= self.number:
            return
        if self.number >= 0 and mark.generation > self.number >> 40:
            self._rows.clear()
        self.number = mark.number
        ops = [(row.pop("_op"), row) for row in rows.to_pylist()]
        for op, row in ops:
            there = self._rows.get(self._values(self._key, row))
            if op == "d" and there and self._rank(there) == self._rank(row):
                del self._rows[self._values(self._key, row)]
        for op, row in ops:
            there = self._rows.get(self._values(self._key, row))
            if op == "u" and not (there and self._rank(there) > self._rank(row)):
                self._rows[self._values(self._key, row)] = row

    def replace(self, rows: pa.Table, mark: Mark) -> None:
        """Forgets everything and takes `rows`, one for each key, whatever their order is."""
        self.number = mark.number
        self._rows = {self._values(self._key, row): row for row in rows.to_pylist()}

    def rows(self) -> list[Row]:
        """What is left."""
        return list(self._rows.values())

    def _values(self, names: Sequence[str], row: Row) -> tuple[Any, ...]:
        return tuple(row[name] for name in names)

    def _rank(self, row: Row) -> tuple[Any, ...]:
        """What rows are compared by: null is the lowest."""
        return tuple((value is not None, value) for value in self._values(self._order, row))


def same(held: Sequence[Row], wanted: Model) -> None:
    """Asserts that both have the same rows, each as often; columns go by name."""
    found, right = _sorted(held), _sorted(wanted.rows())
    missing = [row for row in right if row not in found]
    surplus = [row for row in found if row not in right]
    words = f"missing: {missing[:5]}, not wanted: {surplus[:5]}"
    assert found == right, f"{len(found)} rows are there, {len(right)} are wanted; {words}"


def _sorted(rows: Sequence[Row]) -> list[str]:
    return sorted(repr(sorted(row.items())) for row in rows)
