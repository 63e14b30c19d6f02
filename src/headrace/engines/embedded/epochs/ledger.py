"""What a job writes down about itself in each epoch: offsets, watermarks, sums, dead letters."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from headrace.engines.embedded.epochs.letters import failed, refused
from headrace.engines.embedded.epochs.sources import Position, SourceEpoch
from headrace.engines.kernel.watermark import NEVER_US
from headrace.plan.operators import Job, Source, has_dedupe
from headrace.storage.contract import Mark
from headrace.storage.state.store import StateStore

if TYPE_CHECKING:
    from headrace.engines.embedded.epochs.engine import Committed


class Ledger:
    """Reads and writes the `meta` tables of a job; writes stand inside the epoch's transaction."""

    def __init__(self, store: StateStore, job: Job) -> None:
        self.store, self.job = store, job
        self.generation = int(store.fact("generation") or 1)
        row = store.rows(
            "select epoch, epoch_us(epoch_time) from meta.epochs order by epoch desc limit 1"
        )
        # Epochs go on counting through generations: lakes keep the numbers of earlier ones.
        self.epoch, self.time_us = row[0] if row else (int(store.fact("epoch_base") or 0), 0)
        # Lakes say who was late, also one that the app is given later, of what came before it. Of
        # all but these views the log tells it again.
        self._remembering = {v.name: v.topic for v in job.views if has_dedupe(v)}
        # Where topics began when that was last forgotten which lies before.
        self._begins: dict[str, list[int]] = {}
        # Epochs of which something waits in the outbox, by output.
        self._outbox = _waiting(store, "select distinct output, epoch from meta.outbox")

    def advanced(self, epoch: int, time_us: int) -> None:
        """An epoch is committed."""
        self.epoch, self.time_us = epoch, time_us

    def count_beyond(self, epoch: int) -> None:
        """Gives the next epoch a number above `epoch`, unless this generation has some already.

        Lakes keep the numbers of earlier generations: none of them may come again.
        """
        kinds = self.store.rows(
            "select kind from meta.epochs where generation = ?", [self.generation]
        )
        if kinds not in ([], [("seek",)]):
            return
        with self.store.transaction() as connection:
            self.store.set_fact("epoch_base", str(epoch))
            if kinds:
                # Where a reset has it begin is an epoch, which has read nothing.
                epoch += 1
                connection.execute("update meta.epochs set first_epoch = ?, epoch = ?", [epoch] * 2)
        self.epoch = epoch

    def identities(self, topic: str, upto: int | None = None) -> list[str]:
        """The generations of the topic that were read, in their order; those up to an epoch."""
        rows = self.store.rows(
            "select identity from meta.sources where topic = ? and since_epoch <= ? "
            "order by number",
            [topic, self.epoch + 1 if upto is None else upto],
        )
        return [identity for (identity,) in rows]

    def identity(self, topic: str) -> str | None:
        """The identity of the topic that is read, None if it never was."""
        found = self.identities(topic)
        return found[-1] if found else None

    def begin(self, firsts: Mapping[str, tuple[str, list[int]]]) -> None:
        """Notes (identity, first offsets) of the topics that are read, once."""
        for topic, (identity, offsets) in firsts.items():
            if self.identity(topic) is None:
                self.go_on(topic, identity)
                # An epoch says so as well, but until the first one retention may go on.
                self.store.set_fact(_first_fact(topic), json.dumps(offsets))
        if self.store.fact("generation") is None:
            self.store.set_fact("generation", str(self.generation))

    def go_on(self, topic: str, identity: str) -> None:
        """Notes that from the next epoch on this generation of the topic is read."""
        self.store.connection.execute(
            "insert into meta.sources values (?, ?, ?, ?)",
            [topic, identity, len(self.identities(topic)), self.epoch + 1],
        )

    def position(self, source: Source, upto: int | None = None) -> Position | None:
        """How far a source is read, at the end of the epoch `upto` or now; None if never opened."""
        rows = self.store.rows(
            "select s.end_offsets, s.greatest_after_us, s.after_us from "
            "(select epoch, unnest(sources) as s from meta.epochs) where s.topic = ? "
            "and epoch <= ? order by epoch desc limit 1",
            [source.topic, self.epoch if upto is None else upto],
        )
        identity = (self.identities(source.topic, upto) or [""])[-1]
        if not rows:
            first = self.store.fact(_first_fact(source.topic))
            return None if first is None else Position(json.loads(first), identity=identity)
        offsets, greatest, after = rows[0]
        known = {p: us for p, us in enumerate(greatest) if us is not None}
        watermark_us = NEVER_US if after is None else after
        tail = self._tail(source.topic) if upto is None else b""
        return Position(list(offsets), known, watermark_us, tail, identity)

    def _tail(self, topic: str) -> bytes:
        """What was read last of the topic; nothing where an earlier version read it."""
        rows = self.store.rows(
            "select t.tail from (select epoch, unnest(tails) as t from meta.epochs) "
            "where t.topic = ? order by epoch desc limit 1",
            [topic],
        )
        return rows[0][0] if rows else b""

    def explains(self, mark: Mark) -> bool:
        """Whether an epoch of this state can have ended as `mark` says.

        Of epochs that were joined since only the first offsets and the last are known.
        """
        [(until,)] = self.store.rows(
            "select min(epoch) from meta.epochs where epoch >= ?", [mark.epoch]
        )
        for source in self.job.sources:
            low, high = self.position(source, mark.epoch), self.position(source, until)
            ends = mark.offsets.get(source.topic)
            if low is None or high is None or ends is None:
                continue
            # Partitions that came since have no offset in an older mark.
            bounds = zip(low.offsets, ends, high.offsets, strict=False)
            if not all(first <= end <= last for first, end, last in bounds):
                return False
        return True

    def write(
        self, committed: Committed, emitted: bool, counts: list[tuple[str, str, str, int]]
    ) -> None:
        """The record of an epoch: enough to compute its effects again from the log."""
        epoch, sources, tails = committed.epoch, None, None
        if committed.kind == "live":
            sources = [_source(topic, part) for topic, part in committed.sources.items()]
        elif committed.kind in ("seek", "rebuild"):
            sources = [standing(topic, at) for topic, at in committed.positions.items()]
        if sources is not None:
            tails = [{"topic": t, "tail": at.tail} for t, at in committed.positions.items()]
        self.store.connection.execute(
            "insert into meta.epochs values (?, ?, ?, ?, make_timestamp(?), ?, ?, ?, ?, ?)",
            [
                committed.generation,
                epoch,
                epoch,
                committed.kind,
                committed.time_us,
                committed.records,
                emitted,
                self.job.fingerprint,
                sources,
                tails,
            ],
        )
        for view in self._remembering.keys() & committed.late.keys():
            part = committed.sources[self._remembering[view]]
            self._keep_late(epoch, view, part.records, committed.late[view])
        for output, table in committed.changes.items():
            self.outbox(epoch, output, table)
        self.store.count(counts)

    def _keep_late(self, epoch: int, view: str, records: pa.Table, rows: NDArray[np.int64]) -> None:
        late = records.select(["partition", "offset"]).take(pa.array(rows))
        self.store.connection.register("_late", late)
        self.store.connection.execute(
            "insert into meta.late select ?, ?, * from _late", [epoch, view]
        )
        self.store.connection.unregister("_late")

    def late(self, epoch: int, view: str, records: pa.Table) -> NDArray[np.int64]:
        """Which of the epoch's `records` were late for a view that remembers what it was given."""
        kept = self.store.connection.sql(
            'select "partition", "offset" from meta.late where epoch = ? and view = ?',
            params=[epoch, view],
        ).to_arrow_table()
        here = records.select(["partition", "offset"])
        here = here.append_column("row", pa.array(np.arange(len(here))))
        found = here.join(kept, ["partition", "offset"], join_type="left semi")
        rows: NDArray[np.int64] = np.sort(found.column("row").to_numpy())
        return rows

    def forget_late(self, topic: str, begins: Sequence[int]) -> None:
        """Forgets who was late among records that the topic no longer holds.

        Not of replays: they are made again from dead letters.
        """
        if self._begins.get(topic) == list(begins):
            return
        held = (
            '"offset" < (?::bigint[])["partition" + 1] '
            "and epoch not in (select epoch from meta.replays)"
        )
        for view in (v for v, read in self._remembering.items() if read == topic):
            self.store.connection.execute(
                f"delete from meta.late where view = ? and {held}", [view, list(begins)]
            )
        self._begins[topic] = list(begins)

    def outbox(self, epoch: int, output: str, table: pa.Table) -> None:
        """Keeps the rows of a view until `output` has them; the log alone does not give them."""
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        self._outbox.setdefault(output, set()).add(epoch)
        self.store.connection.execute(
            "insert into meta.outbox values (?, ?, ?)",
            [epoch, output, sink.getvalue().to_pybytes()],
        )

    def landed(self, epochs: dict[str, int]) -> None:
        """Notes the last epoch that each destination has, and forgets what was kept for it."""
        for output, epoch in epochs.items():
            self.taken(output, epoch)

    def taken(self, output: str, epoch: int) -> None:
        """Notes that `output` has everything up to `epoch`, and forgets its part of the outbox."""
        counters = self.store.counters
        counters.set(("mark", output, "generation"), self.generation)
        counters.set(("mark", output, "epoch"), epoch)
        if _forget(self._outbox, output, epoch):
            self.store.connection.execute(
                "delete from meta.outbox where output = ? and epoch <= ?", [output, epoch]
            )

    def delivers(self, output: str) -> bool:
        """Whether `output` is given its rows elsewhere, as far as the state knows."""
        marked = self.store.counters.value(("mark", output, "epoch"))
        return marked is not None or bool(self._outbox.get(output))

    def left(self, output: str) -> None:
        """Forgets that `output` was given its rows elsewhere; inside a transaction."""
        self.store.counters.forget(self.store.connection, "mark", output)
        self.drop_rows(output)

    def drop_rows(self, output: str) -> None:
        """Drops what waits for `output`, and what it refused; inside a transaction."""
        connection = self.store.connection
        connection.execute("delete from meta.outbox where output = ?", [output])
        connection.execute("delete from meta.refused_rows where destination = ?", [output])
        self._outbox.pop(output, None)

    def outputs_left(self) -> list[str]:
        """The outputs that were given rows and that the job no longer has."""
        marked = self.store.rows("select distinct name from meta.counters where kind = 'mark'")
        known = {o.name for o in self.job.outputs}
        return sorted(({name for (name,) in marked} | self._outbox.keys()) - known)

    def noted(self) -> int | None:
        """The least epoch that is noted of any destination; None while none is."""
        marks = [self.mark(o.name) for o in self.job.outputs]
        return min((m for m in marks if m is not None), default=None)

    def mark(self, output: str) -> int | None:
        """The last epoch of this generation that `output` is known to have."""
        counters = self.store.counters
        if counters.value(("mark", output, "generation")) != self.generation:
            return None
        return counters.value(("mark", output, "epoch"))

    def dead_letters(self, part: SourceEpoch, epoch: int) -> None:
        """Keeps the records that were refused, with their bytes and why."""
        if len(part.dead):
            self.insert_letters(refused(part, epoch))

    def replayed(self, part: SourceEpoch, number: int, epoch: int) -> None:
        """Notes which dead letters a replay accepted; they stay listed, with its number."""
        connection = self.store.connection
        topic = part.source.topic
        connection.execute("insert into meta.replays values (?, ?, ?)", [number, topic, epoch])
        accepted = part.records.select(["partition", "offset"]).take(part.events.column("_row"))
        connection.register("_accepted", accepted)
        connection.execute(
            "update meta.dead_letters d set replayed = ? from _accepted a where d.topic = ? "
            "and d.topic_generation = ? and d.view is null "
            'and d."partition" = a."partition" and d."offset" = a."offset"',
            [number, topic, part.identity],
        )
        connection.unregister("_accepted")

    def failed_rows(self, part: SourceEpoch, view: str, rows: pa.Table, epoch: int) -> None:
        """Keeps the records (`_row`, `_reason`) on which an expression of `view` failed."""
        self.insert_letters(failed(part, epoch, view, rows))

    def insert_letters(self, letters: pa.Table) -> None:
        """Keeps rows of `meta.dead_letters`."""
        connection = self.store.connection
        connection.register("_letters", letters)
        connection.execute("insert into meta.dead_letters select * from _letters")
        connection.unregister("_letters")


def _source(topic: str, part: SourceEpoch) -> dict[str, Any]:
    """A source's part of an epoch, as `meta.epochs` holds it."""
    before, after = part.before, part.after
    partitions = range(len(after.offsets))
    least = pc.min(part.events.column("_seen")).as_py()
    return {
        "topic": topic,
        "before_us": _known(before.watermark_us),
        "after_us": _known(after.watermark_us),
        "raised": least is not None and least < before.watermark_us,
        "start_offsets": before.offsets,
        "end_offsets": after.offsets,
        "greatest_before_us": [before.greatest_us.get(p) for p in partitions],
        "greatest_after_us": [after.greatest_us.get(p) for p in partitions],
        "exempt": [p in part.exempt for p in partitions],
    }


def standing(topic: str, position: Position) -> dict[str, Any]:
    """The part of a source in an epoch that reads nothing and leaves it at `position`."""
    partitions = range(len(position.offsets))
    greatest = [position.greatest_us.get(p) for p in partitions]
    return {
        "topic": topic,
        "before_us": _known(position.watermark_us),
        "after_us": _known(position.watermark_us),
        "raised": False,
        "start_offsets": position.offsets,
        "end_offsets": position.offsets,
        "greatest_before_us": greatest,
        "greatest_after_us": greatest,
        "exempt": [False for _ in partitions],
    }


def begin_at(
    connection: duckdb.DuckDBPyConnection,
    generation: int,
    epoch: int,
    time_us: int,
    begins: Mapping[str, tuple[str, Position]],
) -> None:
    """Has a new generation of the state begin at (identity, position) of each topic, in `epoch`."""
    for topic, (identity, _) in begins.items():
        connection.execute("insert into meta.sources values (?, ?, 0, ?)", [topic, identity, epoch])
    sources = [standing(topic, at) for topic, (_, at) in begins.items()]
    tails = [{"topic": topic, "tail": at.tail} for topic, (_, at) in begins.items()]
    connection.execute(
        "insert into meta.epochs values (?, ?, ?, 'seek', make_timestamp(?), 0, false, null, ?, ?)",
        [generation, epoch, epoch, time_us, sources, tails],
    )


def _first_fact(topic: str) -> str:
    """The name under which the state keeps where its first read of `topic` begins."""
    return f"first {topic}"


def _waiting(store: StateStore, sql: str) -> dict[str, set[int]]:
    waiting: dict[str, set[int]] = {}
    for name, epoch in store.rows(sql):
        waiting.setdefault(name, set()).add(epoch)
    return waiting


def _forget(waiting: dict[str, set[int]], name: str, upto: int) -> bool:
    """Leaves out the epochs up to `upto`; whether there were any."""
    held = waiting.get(name, set())
    left = {e for e in held if e > upto}
    waiting[name] = left
    return len(left) < len(held)


def _known(watermark_us: int) -> int | None:
    return None if watermark_us == NEVER_US else watermark_us
