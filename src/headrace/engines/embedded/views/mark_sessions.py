"""Sessions by marks: open sessions by key, and the rows that stand behind them.

An epoch only adds its rows to those pending. What a row of the view was, and what it is now, both
follow from placing the rows of a key: without the epoch's rows as of the watermark before it, and
with them as of the watermark after it. Only now and then are rows below the watermark settled into
the states of the sessions that they leave open.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from headrace.engines.embedded.views.batch import (
    Batch,
    Outcome,
    make_state,
    state_name,
)
from headrace.engines.embedded.views.held import Buckets, HeldRows, bucket_sql, no_buckets
from headrace.engines.embedded.views.placing import Placing, tally
from headrace.engines.embedded.views.session_counts import (
    count_records,
    count_rows,
    rows_by_verdict,
)
from headrace.engines.embedded.views.session_states import Placed, SessionStates
from headrace.engines.embedded.views.withdrawing import shown_before
from headrace.engines.kernel import marks
from headrace.engines.kernel.partial import key_names
from headrace.engines.kernel.pool import Pool, difference, pool
from headrace.engines.kernel.rows import CLOSES, upserts_sql
from headrace.engines.kernel.sequence import (
    END,
    OPEN,
    RESTART,
    TIMEOUT,
    WHY,
    Flags,
    Ints,
    Sequenced,
)
from headrace.engines.kernel.watermark import NEVER_US
from headrace.plan.operators import SessionMarks, View
from headrace.storage.state.store import one_row

_SETTLED_ROWS_MIN = 10_000
"""So many rows below the watermark wait before they are settled: it costs a look at `open`."""


_HELD_ROWS_PER_EVENT = 4
"""With fewer held for each event of an epoch, all are placed again."""

_TOUCHING = ("_verdict", "_bucket")


class MarkSessions:
    """Places rows in sessions again whenever a key gets a row, until the watermark settles them."""

    def __init__(self, view: View, columns: tuple[str, ...], wants: frozenset[str]) -> None:
        assert isinstance(view.window, SessionMarks)
        self.view, self.wants, self.timeout_us = view, wants, view.window.timeout_us
        self.placing = Placing(view, columns)
        self.keys = key_names(view)
        self.passed = marks.passed(view, columns)
        self.settles = state_name(view.name, "settles")
        self.pending = HeldRows(
            state_name(view.name, "pending"), marks.row_columns(view), self.keys, "_us"
        )
        self.states = SessionStates(view, state_name(view.name, "open"))
        self._known: tuple[int, int] | None = None

    def create(self, connection: duckdb.DuckDBPyConnection, relation: str) -> None:
        """Makes the state tables, empty, unless they are there."""
        placed = self.placing.create(connection, relation)
        make_state(connection, self.pending.table, marks.pending_sql(self.view, placed))
        make_state(connection, self.states.table, marks.open_sql(self.view, self.pending.table))
        make_state(connection, self.settles, "select 0::bigint as times")
        # A table made again counts from elsewhere: what is held can tell it from the one before.
        connection.execute(
            f"insert into {self.settles} select (random() * 1e15)::bigint "
            f"where not exists (from {self.settles})"
        )
        self.states.learn_types(connection)
        self._known = None

    def tables(self) -> list[str]:
        return [self.pending.table, self.states.table, self.settles, *self.placing.tables()]

    def apply(self, connection: duckdb.DuckDBPyConnection, batch: Batch) -> Outcome:
        """Places an epoch's events, reports the differences, settles what has long been passed."""
        outcome = Outcome()
        self._look(connection)
        known, self._known = self._known, None
        assert known is not None
        # Many events concern most keys: to find out which would cost more.
        held = self.pending.count + self.states.open.count
        whole = len(batch.events) * _HELD_ROWS_PER_EVENT >= held
        fresh = self._fresh(connection, batch, outcome, ["_verdict"] if whole else _TOUCHING)
        buckets = None if whole else self._touched(connection, batch, fresh)
        carried = self.states.open.take(connection, buckets)
        waiting = self.pending.take(connection, buckets).select(self.pending.columns)
        rows = pa.concat_tables([waiting, fresh.select(self.pending.columns)])
        both = pool(carried, rows, self.keys)
        old = len(carried) + len(waiting)
        before = both.place(old, self.timeout_us, batch.before_us)
        after = both.place(old + len(fresh), self.timeout_us, batch.watermark_us)
        self._count(outcome, both, before, after, rows)
        placed = Placed(after, carried, rows)
        self._report(connection, outcome, both, Placed(before, carried, waiting), placed)
        settled = True
        if whole:
            self._settle(connection, None, both, placed, batch.watermark_us)
            waits = fresh.column("_us").to_numpy() >= batch.watermark_us
            self.pending.append(connection, _filtered(fresh, waits))
        else:
            self.pending.append(connection, fresh)
            settled = self._settle_passed(connection, batch.watermark_us)
        times = known[0] + settled
        if settled:
            connection.execute(f"update {self.settles} set times = {times}")
        self._known = (times, self.pending.count)
        return outcome

    def _fresh(
        self,
        connection: duckdb.DuckDBPyConnection,
        batch: Batch,
        outcome: Outcome,
        more: Sequence[str],
    ) -> pa.Table:
        """The epoch's rows that no step left behind, with columns `more`; others are counted."""
        placed = self.placing.rows(connection, batch)
        names = [n for n in self.pending.columns if n not in self.passed]
        wanted = [*names, *more]
        sql = marks.direct_sql(self.view, batch.relation, wanted, bucket_sql)
        found = _read(
            connection, sql or marks.fresh_sql(self.view, placed, wanted, bucket_sql), wanted
        )
        verdicts = np.asarray(found["_verdict"])
        tally(connection, self.placing, placed, rows_by_verdict(verdicts), outcome)
        for name, column in self.passed.items():
            found[name] = batch.events.column(column)
        schema = self.pending.schema
        typed = [schema.field(n) for n in (*self.pending.columns, *more) if n != "_verdict"]
        fresh = pa.table([found[f.name] for f in typed], names=[f.name for f in typed])
        fresh = fresh.cast(pa.schema(typed))
        return _filtered(fresh, verdicts == 0)

    def _count(
        self, outcome: Outcome, both: Pool, before: Sequenced, after: Sequenced, rows: pa.Table
    ) -> None:
        """Counts the rows that no step left behind by where they are placed."""
        outcome.row_counts.pop("applied", None)
        count_rows(outcome, before, after, both.carried)
        if self.placing.explodes:
            outcome.counts.pop("applied", None)
            rest = rows.column("_rest")
            count_records(outcome, before, after, both.record, rest, both.carried)
        else:
            outcome.counts = dict(outcome.row_counts)

    def _look(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Reads the tables into memory unless they are what is there.

        A transaction may have been undone since: how often rows were settled, and how many
        came since, grow with everything that is written, and tell.
        """
        row = one_row(
            connection.execute(
                f"select times, (select count(*) from {self.pending.table}) from {self.settles}"
            )
        )
        assert row is not None
        if row != self._known:
            self.pending.load(connection)
            self.states.open.load(connection)
            self._known = (row[0], row[1])

    def _touched(
        self, connection: duckdb.DuckDBPyConnection, batch: Batch, fresh: pa.Table
    ) -> Buckets:
        """The keys to look at: those of fresh rows, and those that the watermark changes."""
        buckets = no_buckets()
        buckets[fresh.column("_bucket").to_numpy()] = True
        # Sessions that lapse: the watermark passes an event's timeout.
        low, high = batch.before_us - self.timeout_us, batch.watermark_us - self.timeout_us
        bounds = [(low + 1, high + 1)]
        if "final" in self.wants:
            bounds.append((batch.before_us, batch.watermark_us))
        for low, high in bounds:
            if low < high:
                self.pending.mark(connection, buckets, low, high)
                self.states.open.mark(connection, buckets, low, high)
        if self.placing.explodes:
            # A record's verdict hangs on all its rows, whatever their keys.
            self.pending.mark_records(connection, buckets)
        return buckets

    def _report(
        self,
        connection: duckdb.DuckDBPyConnection,
        outcome: Outcome,
        both: Pool,
        before: Placed,
        after: Placed,
    ) -> None:
        """Makes the relations of changed and of final rows."""
        view = self.view
        found = difference(
            before.found,
            after.found,
            counted=marks.shows_count(view),
            all_compared=view.having is not None,
        )
        shown = "changes" in self.wants
        wanted = found.changed if shown else np.zeros_like(found.changed)
        if "final" in self.wants:
            wanted = wanted | found.closed
        new = np.flatnonzero(wanted)
        old = np.flatnonzero(found.compared) if shown else np.zeros(0, np.int64)
        made = [_session_table(both, after.found, new, True, found.changed, found.closed)]
        picks = [(after, new)]
        if len(old):
            made.append(_session_table(both, before.found, old, False))
            picks.append((before, old))
        sessions = pa.concat_tables(made)
        rows = self.states.of(connection, sessions, picks)
        if shown:
            outcome.changes = self.states.made(
                connection,
                "changes",
                lambda r: marks.changes_sql(
                    view, r, shown_before(view) if len(old) else None, "final" in self.wants
                ),
                rows,
            )
        if "final" in self.wants:
            outcome.finals = self.states.made(
                connection,
                "finals",
                lambda r: upserts_sql(view, f"(select * from {r} where _closed)", [CLOSES]),
                rows,
            )

    def _settle_passed(self, connection: duckdb.DuckDBPyConnection, watermark_us: int) -> bool:
        """Settles the rows below the watermark once they are many; whether it did."""
        passed = self.pending.count_below(connection, watermark_us)
        if passed < max(_SETTLED_ROWS_MIN, self.states.open.count // 2):
            return False
        rows = self.pending.below(connection, watermark_us)
        buckets = no_buckets()
        buckets[rows.column("_bucket").to_numpy()] = True
        # Those that lapsed are over, though nothing came.
        lapsed_us = watermark_us - self.timeout_us + 1
        self.states.open.mark(connection, buckets, NEVER_US, lapsed_us)
        carried = self.states.open.take(connection, buckets)
        mine = pool(carried, rows, self.keys)
        found = mine.place(len(carried) + len(rows), self.timeout_us, watermark_us)
        self._settle(connection, buckets, mine, Placed(found, carried, rows), watermark_us)
        return True

    def _settle(
        self,
        connection: duckdb.DuckDBPyConnection,
        buckets: Buckets | None,
        mine: Pool,
        placed: Placed,
        watermark_us: int,
    ) -> None:
        """Carries on the sessions that rows below the watermark leave open; forgets those rows."""
        chosen = np.flatnonzero(placed.found.sessions.stays)
        keys = mine.keys_of(placed.found.sessions.row[chosen])
        passed = placed.rows.column("_us").to_numpy() < watermark_us
        settled = Placed(placed.found, placed.carried, placed.rows, passed)
        self.states.settle(connection, buckets, settled, keys, chosen)
        self.pending.drop_below(connection, watermark_us)


_NUMBERS = {"_partition", "_offset", "_us", "_start", "_end", "_verdict", "_bucket"}


def _read(
    connection: duckdb.DuckDBPyConnection, sql: str, columns: Sequence[str]
) -> dict[str, Any]:
    """The columns of a query; plain numbers come without being planned twice."""
    if _NUMBERS.issuperset(columns):
        return dict(connection.execute(sql).fetchnumpy())
    found = connection.sql(sql).to_arrow_table()
    return {name: found.column(name) for name in columns}


def _filtered(rows: pa.Table, these: np.ndarray) -> pa.Table:
    return rows if these.all() else rows.take(pa.array(np.flatnonzero(these)))


def _session_table(
    both: Pool,
    found: Sequenced,
    chosen: Ints,
    after: bool,
    changed: Flags | None = None,
    closed: Flags | None = None,
) -> pa.Table:
    """The chosen sessions with their keys, ready to be rows; flags are of all sessions."""
    s = found.sessions
    ended, kind = s.ended_us[chosen], pa.timestamp("us")
    none = np.zeros(len(chosen), np.bool_)
    return pa.table(
        {
            **both.keys_of(s.row[chosen]),
            "_started": pa.array(s.started_us[chosen], kind),
            "_ended": pa.array(ended, kind, mask=ended == NEVER_US),
            "_why": _reasons(s.why[chosen]),
            CLOSES: pa.array(s.closes_us[chosen]),
            "_after": ~none if after else none,
            "_changed": none if changed is None else changed[chosen],
            "_closed": none if closed is None else closed[chosen],
        }
    )


_REASONS = pa.array([WHY[why] for why in (END, RESTART, TIMEOUT)], pa.string())


def _reasons(why: Ints) -> pa.Array:
    number = pa.array((why - 1).astype(np.int8), mask=why == OPEN)
    return pa.DictionaryArray.from_arrays(number, _REASONS)
