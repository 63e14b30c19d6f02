"""Tables that no other system plays: changed in the state's transaction, so landing is exact."""

from __future__ import annotations

import duckdb
import pyarrow as pa

from headrace.engines.kernel.partial import matches
from headrace.plan.operators import Column, Output, View
from headrace.values.errors import StateRefused
from headrace.values.schema import quote


class EmbeddedTable:
    """One table, index, ranking or wide table in the state file, by its name."""

    def __init__(self, output: Output, view: View) -> None:
        self.output, self.view = output, view
        self.name = "main." + quote(output.name)
        self.key = [quote(k) for k in output.key]
        self.columns = [quote(c.name) for c in view.columns]
        # Only of a key that is smaller than the view's.
        self.order = [quote(c) for c in output.order]

    def create(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Makes the table unless it is there; StateRefused when it has other columns."""
        listed = ", ".join(f"{quote(c.name)} {c.type}" for c in self.view.columns)
        connection.execute(f"create table if not exists {self.name} ({listed})")
        found = connection.execute(f"describe {self.name}").fetchall()
        has, wanted = [row[0] for row in found], [c.name for c in self.view.columns]
        if has != wanted:
            raise StateRefused(
                f"table {self.output.name} has the columns {', '.join(has)}, "
                f"the view {', '.join(wanted)}",
                remedy="Rebuild it: headrace run APP --rebuild",
            )

    def drop(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Takes the table away, whatever definition made it."""
        connection.execute(f"drop table if exists {self.name}")

    def replace(self, connection: duckdb.DuckDBPyConnection, rows: pa.RecordBatchReader) -> int:
        """Makes `rows` (the view's columns, one per key) all that the table has; their number."""
        self.drop(connection)
        self.create(connection)
        connection.register("_filling", rows)
        connection.execute(
            f"insert into {self.name} select {', '.join(self.columns)} from _filling"
        )
        connection.unregister("_filling")
        return int(connection.execute(f"select count(*) from {self.name}").fetchall()[0][0])

    def apply(
        self, connection: duckdb.DuckDBPyConnection, changes: str, upserts: int | None = None
    ) -> int:
        """Applies upserts and deletes of the relation `changes`; returns how many there were.

        `upserts` is their number where it is known that there are no deletes.
        """
        count, deletes = upserts, 0
        if count is None:
            counted = f"select count(*), count(*) filter (where _op = 'd') from {changes}"
            count, deletes = connection.execute(counted).fetchall()[0]
        if deletes:
            self._delete(connection, changes)
        if count > deletes:
            self._upsert(connection, changes)
        return int(count)

    def _delete(self, connection: duckdb.DuckDBPyConnection, changes: str) -> None:
        # A smaller key's row goes only if it is the very one withdrawn: same start, same key.
        names = list(dict.fromkeys([*self.key, *self.order])) if self.order else self.key
        connection.execute(
            f"delete from {self.name} t using (select * from {changes} where _op = 'd') c "
            f"where {matches('t', 'c', names)}"
        )

    def _upsert(self, connection: duckdb.DuckDBPyConnection, changes: str) -> None:
        columns = ", ".join(self.columns)
        rows = f"select {columns} from {changes} where _op = 'u'"
        newer = ""
        if self.order:
            by = ", ".join(self.key) or "0"
            order = ", ".join(f"{c} desc nulls last" for c in self.order)
            rows += f" qualify row_number() over (partition by {by} order by {order}) = 1"
            newer = f"and {_not_older(self.order)} "
        others = [c for c in self.columns if c not in self.key]
        updates = ", ".join(f"{c} = c.{c}" for c in others or self.columns)
        values = ", ".join(f"c.{c}" for c in self.columns)
        on = matches("t", "c", self.key)
        connection.execute(
            f"merge into {self.name} t using ({rows}) c on {on} "
            f"when matched {newer}then update set {updates} "
            f"when not matched then insert values ({values})"
        )


def _not_older(order: list[str]) -> str:
    """Condition that the row `c` is not below the row `t` it would replace; null is lowest."""
    left, right = (", ".join(f"{t}.{o} is not null, {t}.{o}" for o in order) for t in ("c", "t"))
    return f"row({left}) >= row({right})"


def empty_relation(columns: tuple[Column, ...]) -> str:
    """A relation with these columns and no rows."""
    listed = ", ".join(f"null::{c.type} as {quote(c.name)}" for c in columns)
    return f"(select {listed} limit 0)"
