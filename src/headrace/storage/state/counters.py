"""The sums of a job, and how far its destinations are: numbers that change with every epoch.

They are held in memory and written by one statement per transaction, so that their number costs
next to nothing; a statement for each would cost more than the epoch's own work.
"""

from __future__ import annotations

import duckdb

Key = tuple[str, str, str]
"""(kind, name, counter): ("view", "page_view_counts", "applied")."""


class Counters:
    """What stands in `meta.counters`, and what this transaction changes of it."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._places: dict[Key, int] = {}
        self._values: list[int | None] = []
        self._new: list[Key] = []
        self._changed = False
        for kind, name, counter, value, place in connection.execute(
            "select kind, name, counter, value, place from meta.counters"
        ).fetchall():
            self._grow(place)
            self._places[kind, name, counter] = place
            self._values[place] = value

    def _grow(self, place: int) -> None:
        self._values += [None] * (place + 1 - len(self._values))

    def value(self, key: Key) -> int | None:
        """The present value, changes of this transaction included; None if never counted."""
        place = self._places.get(key)
        return None if place is None else self._values[place]

    def set(self, key: Key, value: int) -> None:
        """Makes `value` the counter's value."""
        place = self._places.get(key)
        if place is None:
            place = self._places[key] = len(self._values)
            self._grow(place)
            self._new.append(key)
        elif self._values[place] == value:
            return
        self._values[place] = value
        self._changed = True

    def add(self, key: Key, by: int) -> None:
        """Adds `by`; a counter begins with the first thing that is counted."""
        if by:
            self.set(key, (self.value(key) or 0) + by)

    def forget(self, connection: duckdb.DuckDBPyConnection, kind: str, name: str) -> None:
        """Drops all counters of `name`, inside a transaction."""
        connection.execute("delete from meta.counters where kind = ? and name = ?", [kind, name])
        for key in [k for k in self._places if k[:2] == (kind, name)]:
            self._values[self._places.pop(key)] = None
            if key in self._new:
                self._new.remove(key)

    def move(
        self, connection: duckdb.DuckDBPyConnection, old: tuple[str, str], new: tuple[str, str]
    ) -> None:
        """Makes the counters of `old` (kind, name) those of `new` alone, inside a transaction."""
        values = {k[2]: self.value(k) for k in self._places if k[:2] == old}
        self.forget(connection, *old)
        self.forget(connection, *new)
        for counter, value in values.items():
            self.set((*new, counter), value or 0)

    def write(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Writes what has changed, inside the transaction that changed it."""
        if self._new:
            connection.executemany(
                "insert into meta.counters values (?, ?, ?, 0, ?)",
                [[*key, self._places[key]] for key in self._new],
            )
            self._new = []
        if self._changed:
            # In place and of fixed width: nothing grows with the number of epochs.
            connection.execute(
                "update meta.counters set value = (?::bigint[])[place + 1]", [self._values]
            )
            self._changed = False

    def copy(self) -> Counters:
        """The same counters, to go back to when the transaction fails."""
        made = object.__new__(Counters)
        made._places, made._values = dict(self._places), list(self._values)
        made._new, made._changed = list(self._new), self._changed
        return made
