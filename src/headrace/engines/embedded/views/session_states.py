"""The aggregate states of sessions: those carried in the state, and those of rows just placed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import duckdb
import numpy as np
import pyarrow as pa

from headrace.engines.embedded.views import given
from headrace.engines.embedded.views.batch import make_temp, temp_name
from headrace.engines.embedded.views.held import Buckets, HeldRows
from headrace.engines.kernel import marks
from headrace.engines.kernel.partial import key_names, state_columns
from headrace.engines.kernel.sequence import Flags, Ints, Sequenced
from headrace.plan.operators import View


@dataclass(frozen=True)
class Placed:
    """Carried sessions and the rows behind them, as they were placed; `only` some rows count."""

    found: Sequenced
    carried: pa.Table
    rows: pa.Table
    only: Flags | None = None


class SessionStates:
    """The table of open sessions, and states over it. `types` are those that pass through Arrow."""

    def __init__(self, view: View, table: str) -> None:
        self.view, self.table = view, table
        self.names = [c.name for c in state_columns(view)]
        self.types: dict[str, str] | None = None
        self.open = self._held()

    def _held(self) -> HeldRows:
        keys = key_names(self.view)
        columns = [*keys, "_first", "_last", *(self.names if self.types is not None else [])]
        return HeldRows(self.table, columns, keys, "_last")

    def learn_types(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Finds out whether states may leave the engine: sketches' states know no way back."""
        found = connection.execute(f"describe {self.table}").fetchall()
        types = {name: kind for name, kind, *_ in found if name in self.names}
        sketches = any("AGGREGATE_STATE" in kind for kind in types.values())
        self.types = None if sketches else types
        self.open = self._held()

    def of(
        self,
        connection: duckdb.DuckDBPyConnection,
        sessions: pa.Table,
        picks: Sequence[tuple[Placed, Ints]],
    ) -> pa.Table | str:
        """`sessions`, the chosen ones of each placing in order, with states: rows or a relation."""
        numbered, base = [], 0
        for placed, chosen in picks:
            # The last entry stands for "no session".
            number = np.full(len(placed.found.sessions.row) + 1, -1, np.int64)
            number[chosen] = np.arange(base, base + len(chosen))
            session = number[placed.found.session]
            if placed.only is not None:
                session[len(placed.carried) :][~placed.only] = -1
            numbered.append((placed, session))
            base += len(chosen)
        if marks.only_counts(self.view):
            counts = _counts(numbered, base, self.names)
            for name, column in counts.items():
                sessions = sessions.append_column(name, pa.array(column))
            return sessions
        sessions = sessions.append_column("_session", pa.array(np.arange(base)))
        return self._aggregated(connection, sessions, numbered)

    def _aggregated(
        self,
        connection: duckdb.DuckDBPyConnection,
        sessions: pa.Table,
        numbered: list[tuple[Placed, Ints]],
    ) -> str:
        rows, carried = [], []
        for placed, session in numbered:
            first = len(placed.carried)
            rows.append(placed.rows.append_column("_session", pa.array(session[first:])))
            these = np.flatnonzero(session[:first] >= 0)
            held = placed.carried.take(pa.array(these))
            carried.append(held.append_column("_session", pa.array(session[these])))
        tables = {
            "_sessions": sessions,
            "_rows": pa.concat_tables(rows),
            "_carried": pa.concat_tables(carried),
        }
        states = None
        if len(tables["_carried"]):
            states = marks.carried_sql(self.view, "_carried", self.types, self.table)
        sql = marks.with_states_sql(
            self.view, "_sessions", marks.states_sql(self.view, "_rows", states)
        )
        for name, table in tables.items():
            connection.register(name, table)
        made = make_temp(connection, temp_name(self.view.name, "sessions"), sql)
        for name in tables:
            connection.unregister(name)
        return made

    def made(
        self,
        connection: duckdb.DuckDBPyConnection,
        part: str,
        sql: Callable[[str], str],
        sessions: pa.Table | str,
    ) -> str:
        """Makes a temporary table of what `sql` asks of sessions with states; returns its name."""
        name = temp_name(self.view.name, part)
        if isinstance(sessions, str):
            return make_temp(connection, name, sql(sessions))
        return given.make_temp(connection, name, sql(given.GIVEN), sessions)

    def settle(
        self,
        connection: duckdb.DuckDBPyConnection,
        buckets: Buckets | None,
        placed: Placed,
        keys: dict[str, pa.Array],
        chosen: Ints,
    ) -> None:
        """Carries on the chosen sessions, with their `keys`, and none other of `buckets`."""
        s = placed.found.sessions
        sessions = pa.table({**keys, "_first": s.started_us[chosen], "_last": s.settled_us[chosen]})
        found = self.of(connection, sessions, [(placed, chosen)])
        if isinstance(found, str):
            columns = ", ".join([*key_names(self.view), "_first", "_last", *self.names])
            self.open.drop(connection, buckets)
            self.open.append_from(connection, f"(select {columns} from {found})")
        else:
            self.open.drop(connection, buckets)
            self.open.append(connection, found)


def _counts(numbered: list[tuple[Placed, Ints]], count: int, names: list[str]) -> dict[str, Ints]:
    """The number of rows of each session, by the names of the states that are just that."""
    counted = np.zeros(count, np.int64)
    for placed, session in numbered:
        counted += np.bincount(session[len(placed.carried) :] + 1, minlength=count + 1)[1:]
    counts = {name: counted.copy() for name in names}
    for placed, session in numbered:
        these = session[: len(placed.carried)]
        for name in names:
            before = placed.carried.column(name).to_numpy()
            counts[name][these[these >= 0]] += before[these >= 0]
    return counts
