"""One epoch of a job, from records to one committed transaction.

Follow an event here: `read` decodes it (kernel/decode), `_apply` places it in each view
(views/…), its rows go to tables in the same transaction, and `Committed` hands what lakes and
topics need to their deliveries. Nothing leaves before the transaction is on disk.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from headrace.engines.embedded.epochs.adopting import adopt, left_behind, refuse_left
from headrace.engines.embedded.epochs.definitions import changed_views, nothing_read, refuse
from headrace.engines.embedded.epochs.landing import account, apply, land, told
from headrace.engines.embedded.epochs.ledger import Ledger
from headrace.engines.embedded.epochs.places import arriving
from headrace.engines.embedded.epochs.renaming import follow_streams
from headrace.engines.embedded.epochs.sources import (
    Position,
    SourceEpoch,
    SourceReader,
    empty_events,
)
from headrace.engines.embedded.epochs.tables import EmbeddedTable
from headrace.engines.embedded.epochs.tails import check_tail
from headrace.engines.embedded.views.batch import Batch, Outcome, drop_state
from headrace.engines.embedded.views.make import ViewState, view_state
from headrace.engines.embedded.views.placing import Placing, tally
from headrace.engines.embedded.views.sliding import SlidingView
from headrace.engines.kernel.generations import kernel_partition
from headrace.plan.operators import TABLE_ROLES, Job, Output, Stream, View, has_dedupe
from headrace.storage.contract import Topic
from headrace.storage.state.store import StateStore
from headrace.values.stages import Stages
from headrace.values.weights import weight


@dataclass
class Committed:
    """A committed epoch, with what deliveries need of it.

    `late` are rows (`_row` of the source's records) by view;
    `changes` rows that the log alone does not give, by output; `positions` are those after it.
    """

    generation: int
    epoch: int
    time_us: int
    sources: dict[str, SourceEpoch]
    late: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    changes: dict[str, pa.Table] = field(default_factory=dict)
    positions: dict[str, Position] = field(default_factory=dict)
    kind: str = "live"
    seconds: float = 0.0

    @property
    def records(self) -> int:
        return sum(len(s.records) for s in self.sources.values())

    @property
    def weight(self) -> int:
        """As how many records it counts where memory is bounded: more where they are large."""
        return sum(weight(len(s.records), s.records.nbytes) for s in self.sources.values())


class JobEngine:
    """The state of a job, and the step that takes it from one epoch to the next."""

    def __init__(
        self,
        job: Job,
        store: StateStore,
        topics: Mapping[str, Topic],
        threads: int | None = None,
        elsewhere: Collection[str] = (),
    ) -> None:
        """`elsewhere` are the roles that other systems play."""
        self.job, self.store = job, store
        self.stages = Stages()
        roles = set(TABLE_ROLES) - set(elsewhere)
        self.ledger = Ledger(store, job)
        here = frozenset(o.name for o in job.outputs if o.role in roles)
        # Tables that are to be filled before they are changed in the state's own transaction.
        self.arriving = arriving(store, self.ledger, here)
        # The outputs that are.
        self.inside = here - self.arriving
        self.readers = {
            s.topic: SourceReader(
                s,
                topics[s.topic],
                self.ledger.position(s),
                threads,
                max(0, len(self.ledger.identities(s.topic)) - 1),
                stages=self.stages,
            )
            for s in job.sources
        }
        self.views: dict[str, ViewState] = {}
        self.tables: dict[str, list[EmbeddedTable]] = {}
        self.streams: dict[str, Placing] = {}
        for view in job.views:
            outputs = self.outputs_of(view.name)
            columns = self.readers[view.topic].columns
            self.views[view.name] = view_state(view, columns, frozenset(o.emit for o in outputs))
            self.tables[view.name] = [
                EmbeddedTable(o, view) for o in outputs if o.name in self.inside
            ]
        for stream in job.streams:
            self.streams[stream.name] = Placing(stream, self.readers[stream.topic].columns)
        self._shown_at = 0.0
        # What the state has and the job no longer, unless it has left: nothing gives rows then.
        self.left: tuple[str, ...] = ()

    def outputs_of(self, name: str) -> list[Output]:
        """The outputs of the view or stream `name`."""
        return [o for o in self.job.outputs if o.input == name]

    def open(
        self, *, rebuilding: bool = False, checked: bool = True, adopting: bool = True
    ) -> tuple[View, ...]:
        """Checks topics and definition against the state; makes what is missing or changed unused.

        Returns the views that must be built again; raises StateRefused where there are any,
        unless the caller is `rebuilding` them. Topics are as they are unless `checked`. What the
        job no longer has stays in the state unless `adopting`.
        """
        for topic, reader in self.readers.items():
            if not reader.opened_before:
                reader.begin()
            if checked:
                reader.check(self.ledger.identity(topic))
            check_tail(self, topic)
        changed, fresh = changed_views(self.store, self.job), nothing_read(self.store)
        stale = () if fresh else changed
        if stale and not rebuilding:
            raise refuse(self.store, self.job, stale)
        if not (adopting or fresh):
            self.left = left_behind(self.store, self.ledger, self.job)
        with self.store.transaction() as connection:
            self.ledger.begin(
                {t: (r.topic.identity, r.position.offsets) for t, r in self.readers.items()}
            )
            follow_streams(self.store, self.job, fresh)
            for view in changed if fresh else ():
                self.drop_view(connection, view)
            self._create(connection, without=stale)
            if (adopting or fresh) and not stale:
                adopt(self.store, self.ledger, self.job)
        return stale

    def check_tails(self) -> None:
        """TopicRefused where a topic no longer has what was read last of it. Raises Unreachable.

        What was read ahead is read again: it tells what stood there then.
        """
        for topic, reader in self.readers.items():
            reader.forget_ahead()
            check_tail(self, topic)

    def _create(self, connection: duckdb.DuckDBPyConnection, without: Sequence[View]) -> None:
        """Makes the tables of streams, of views and their destinations, unless they are there."""
        for view in (v for v in self.job.views if v not in without):
            self.create_view(connection, view)
        for s in self.job.streams:
            self.streams[s.name].create(connection, empty_events(self.job.source(s.topic)))

    def create_view(self, connection: duckdb.DuckDBPyConnection, view: View) -> None:
        """Makes the tables of a view and of its destinations, unless they are there."""
        self.views[view.name].create(connection, empty_events(self.job.source(view.topic)))
        for table in self.tables[view.name]:
            table.create(connection)

    def drop_view(self, connection: duckdb.DuckDBPyConnection, view: View) -> None:
        """Drops what `create_view` makes, whatever definition made it."""
        drop_state(connection, view.name)
        for table in self.tables[view.name]:
            table.drop(connection)

    def arrived(self, table: EmbeddedTable) -> None:
        """A table of `arriving` has its rows: from now on it is changed here."""
        self.arriving -= {table.output.name}
        self.inside |= {table.output.name}
        self.tables[table.view.name].append(table)

    def close(self) -> None:
        """Ends the threads that decode."""
        for reader in self.readers.values():
            reader.close()

    def lag(self) -> int:
        """Records that were there when topics were last asked, and are not read."""
        return sum(reader.lag() for reader in self.readers.values())

    def unread(self) -> int:
        """Records that are there now and not read. Raises Unreachable."""
        return sum(reader.unread() for reader in self.readers.values())

    def epoch(
        self,
        now_us: int,
        records_max: int,
        *,
        show: bool = False,
        stop: dict[str, list[int]] | None = None,
        alongside: Callable[[duckdb.DuckDBPyConnection], None] | None = None,
    ) -> Committed | None:
        """Reads and commits one epoch; None when there is nothing to do.

        `show` asks sliding views to show everything that changed; without it they do so once a
        second, also where nothing more comes. `stop` bounds what is read, by topic. `alongside`
        may write into the same transaction.
        """
        if self.left:
            waits = self._unshown()
            refuse_left(self.job, self.left if waits else (), "rows wait that it would lack")
            return None
        # With an idle timeout, time alone may move a watermark.
        timed = any(r.source.idle_timeout_us is not None for r in self.readers.values())
        emit = show or time.monotonic() - self._shown_at >= 1.0
        if not (timed or self.unread() or (emit and self._unshown())):
            return None
        # Who is idle is told by the clock: it may have run ahead for a while.
        clock_us, now_us = now_us, max(now_us, self.ledger.time_us)
        connection = self.store.connection
        share = max(1, records_max // len(self.readers))
        read = {
            t: r.read(connection, share, now_us, (stop or {}).get(t), clock_us)
            for t, r in self.readers.items()
        }
        # Offsets move without a record where a transaction ended.
        if not (any(s.moved for s in read.values()) or (emit and self._unshown())):
            return None
        committed = Committed(self.ledger.generation, self.ledger.epoch + 1, now_us, read)
        committed.positions = {t: part.after for t, part in read.items()}
        # What is left of it is the transaction itself.
        with self.stages.spent("job", "commit"), self.store.transaction() as connection:
            self._apply(connection, committed, emit)
            if alongside is not None:
                alongside(connection)
        for topic, part in read.items():
            self.readers[topic].position = part.after
        self.ledger.advanced(committed.epoch, now_us)
        if emit:
            self._shown_at = time.monotonic()
        return committed

    def commit_replay(self, sources: dict[str, SourceEpoch], number: int, now_us: int) -> Committed:
        """Commits records that were dead letters and are events now; offsets stay."""
        committed = Committed(
            self.ledger.generation, self.ledger.epoch + 1, now_us, sources, kind="replay"
        )
        committed.positions = {t: r.position for t, r in self.readers.items()}
        with self.store.transaction() as connection:
            counts: list[tuple[str, str, str, int]] = []
            for topic, part in sources.items():
                accepted = len(part.events)
                counts.append(("source", topic, "accepted", accepted))
                counts.append(("source", topic, "dead_lettered", -accepted))
                self._read_by_all(connection, committed, part, True, counts)
                self.ledger.replayed(part, number, committed.epoch)
            self.ledger.write(committed, True, counts)
        self.ledger.advanced(committed.epoch, now_us)
        return committed

    def _unshown(self) -> bool:
        """Whether a sliding view has changed since it was last shown."""
        return any(
            self.store.rows(f"select 1 from {v.changed} limit 1")
            for v in self.views.values()
            if isinstance(v, SlidingView)
        )

    def _apply(
        self, connection: duckdb.DuckDBPyConnection, committed: Committed, emit: bool
    ) -> None:
        counts: list[tuple[str, str, str, int]] = []
        for topic, part in committed.sources.items():
            counts += [
                ("source", topic, "read", len(part.records)),
                ("source", topic, "accepted", len(part.events)),
                ("source", topic, "dead_lettered", len(part.dead)),
            ]
            with self.stages.spent("job", "ledger"):
                self.ledger.dead_letters(part, committed.epoch)
            self._read_by_all(connection, committed, part, emit, counts)
        with self.stages.spent("job", "ledger"):
            self.ledger.write(committed, emit, counts)

    def _read_by_all(
        self,
        connection: duckdb.DuckDBPyConnection,
        committed: Committed,
        part: SourceEpoch,
        emit: bool,
        counts: list[tuple[str, str, str, int]],
    ) -> None:
        for reader in self.job.readers_of(part.source.topic):
            with self.stages.spent("job", reader.name):
                if isinstance(reader, View):
                    outcome = self._view(connection, committed, part, reader, emit, counts)
                    self._account(committed, part, reader, outcome, counts)
                else:
                    self.read_by_stream(connection, committed, part, reader, counts)

    def read_by_stream(
        self,
        connection: duckdb.DuckDBPyConnection,
        committed: Committed,
        part: SourceEpoch,
        stream: Stream,
        counts: list[tuple[str, str, str, int]],
    ) -> None:
        """Counts what becomes of a source's part of an epoch in a stream; in a transaction."""
        outcome = self._stream(connection, committed, part, stream)
        self._account(committed, part, stream, outcome, counts)

    def _view(
        self,
        connection: duckdb.DuckDBPyConnection,
        committed: Committed,
        part: SourceEpoch,
        view: View,
        emit: bool,
        counts: list[tuple[str, str, str, int]],
    ) -> Outcome:
        batch = batch_of(part, self.readers[part.source.topic].columns, emit)
        outputs = self.outputs_of(view.name)
        outcome = apply(connection, self.views[view.name], outputs, batch)
        with self.stages.spent("job", f"{view.name}: outputs"):
            counts += land(connection, self.tables[view.name], outcome)
            elsewhere = [o for o in outputs if o.name not in self.inside]
            committed.changes |= told(connection, elsewhere, outcome)
        return outcome

    def _stream(
        self,
        connection: duckdb.DuckDBPyConnection,
        committed: Committed,
        part: SourceEpoch,
        stream: Stream,
    ) -> Outcome:
        """Counts a stream's rows; its rows themselves are made again when they are delivered."""
        outcome, placing = Outcome(), self.streams[stream.name]
        if stream.whole:
            outcome.counts = outcome.row_counts = {"applied": len(part.events)}
            return outcome
        batch = batch_of(part, self.readers[part.source.topic].columns, False)
        rows = placing.rows(connection, batch, keep=True)
        tally(connection, placing, rows, None, outcome)
        if has_dedupe(stream):
            # Who is a duplicate hangs on memory that will have moved on: the rows are kept.
            kept = connection.sql(f"select * from {rows} where _verdict = 0").to_arrow_table()
            arrival = part.records.column("arrival_time").take(kept.column("_row"))
            for output in self.outputs_of(stream.name):
                committed.changes[output.name] = kept.append_column("_arrival_time", arrival)
        return outcome

    def _account(
        self,
        committed: Committed,
        part: SourceEpoch,
        reader: View | Stream,
        outcome: Outcome,
        counts: list[tuple[str, str, str, int]],
    ) -> None:
        counts += account(reader, outcome, len(part.events))
        if len(outcome.late):
            committed.late[reader.name] = outcome.late
        if outcome.failed is not None:
            self.ledger.failed_rows(part, reader.name, outcome.failed, committed.epoch)


def batch_of(part: SourceEpoch, columns: tuple[str, ...], emit: bool) -> Batch:
    """What a view is given of a source's part of an epoch."""
    return Batch(
        part.events,
        part.relation,
        columns,
        part.before.watermark_us,
        part.after.watermark_us,
        part.late_possible,
        emit,
        {kernel_partition(p, part.number): us for p, us in part.after.greatest_us.items()},
        part.source.lateness_us,
    )
