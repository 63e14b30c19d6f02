"""The rows that destinations elsewhere get of a committed epoch.

Rows of streams are made from its events again, those of views from the outbox.
Pure but for the connection: the same epoch gives the same rows, now or after a crash.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from headrace.engines.embedded.deliveries.coverage import Offsets, Range
from headrace.engines.embedded.epochs.engine import Committed
from headrace.engines.embedded.epochs.sources import SourceEpoch, events_relation
from headrace.engines.embedded.epochs.tables import empty_relation
from headrace.engines.embedded.views.placing import Placing
from headrace.engines.kernel.generations import topic_partitions
from headrace.engines.kernel.rows import CLOSES
from headrace.plan.operators import Job, Output, Project, Stream, View
from headrace.storage.chunks import one_array
from headrace.storage.outbound.json_values import rows_to_json, splice
from headrace.values.errors import StateRefused
from headrace.values.schema import quote

_UTC = pa.timestamp("us")


class StreamRows:
    """Makes the rows of one output from committed epochs; belongs to one thread."""

    def __init__(
        self,
        job: Job,
        output: Output,
        connection: duckdb.DuckDBPyConnection,
        columns: tuple[str, ...],
    ) -> None:
        self.job, self.output, self.connection = job, output, connection
        self.input = job.input_of(output)
        self.columns = columns
        self.source = job.source(self.input.topic)
        # What the destination has from earlier generations of the state.
        self.closed_us: int | None = None
        self.held: tuple[Range, ...] = ()
        # What they refused of that, by the topic's generation and partition.
        self.refused_before: Mapping[tuple[str, int], Offsets] = {}
        # What it has of the epochs that were joined around its mark. A replay is never joined.
        self.begun: tuple[Range, ...] = ()
        self._rows = f"_out_{output.name}"
        self._known = {*columns, "_processing_time"}

    def lake(self, committed: Committed) -> pa.Table | None:
        """Rows for a lake: the stream's columns, then where each record stands and who is late."""
        if isinstance(self.input, View):
            rows = committed.changes.get(self.output.name)
            return (
                None if rows is None else self._final(self._beyond_mark(rows, committed), committed)
            )
        part = self._part(committed)
        if part is None:
            return None
        rows = self.stream_rows(committed, part)
        count = len(rows)
        views = [v.name for v in self.job.views if v.topic == self.source.topic]
        own = {
            "_topic": _repeated(self.source.topic, count),
            "_topic_generation": _repeated(part.identity, count),
            "_partition": topic_partitions(rows.column("_partition"), part.number),
            "_offset": rows.column("_offset"),
            "_replay": rows.column("_replay"),
            "_arrival_time": rows.column("_arrival_time"),
            "_epoch": _repeated(committed.epoch, count),
            "_late": late_lists(rows.column("_row").to_numpy(), committed, views),
        }
        kept = rows.select([c.name for c in self.input.columns])
        for name, column in own.items():
            kept = kept.append_column(name, column)
        return kept

    def topic(self, committed: Committed) -> pa.Table | None:
        """Rows for a topic: `key` and `value` as bytes."""
        if isinstance(self.input, View):
            rows = committed.changes.get(self.output.name)
            return (
                None
                if rows is None
                else self._changes(self._beyond_mark(rows, committed), committed)
            )
        if committed.kind == "correction":
            # Its records are sent again as they are.
            return committed.changes.get(self.output.name)
        part = self._part(committed)
        return None if part is None else self.records(part, self.stream_rows(committed, part))

    def records(self, part: SourceEpoch, rows: pa.Table) -> pa.Table:
        """The records of a stream's `rows`, which were made of `part`."""
        assert isinstance(self.input, Stream)
        if self.input.whole:
            raw = part.records.column("value")
            if len(rows) < len(raw):
                raw = raw.take(rows.column("_row"))
            added = rows.select([a.name for a in self.input.added])
            plain = part.keys is not None and part.keys.isdisjoint(added.column_names)
            text = splice(raw, added, plain=plain)
        else:
            # What was committed under an earlier definition may lack some.
            names = [c.name for c in self.input.columns if c.name in rows.column_names]
            text = rows_to_json(rows.select(names))
        return pa.table([self.keys(rows), text.cast(pa.binary())], schema=RECORD)

    def table(self, committed: Committed) -> pa.Table | None:
        """Rows for a table elsewhere: `_op`, then the view's columns."""
        rows = committed.changes.get(self.output.name)
        if rows is None:
            return None
        # All of them, whatever an earlier generation left: this one replaces it.
        return rows.select(["_op", *(c.name for c in self.input.columns)])

    def no_changes(self) -> pa.Table:
        """What `table` gives, without a row."""
        nothing = empty_relation(self.input.columns)
        return self.connection.sql(f"select 'u' as _op, * from {nothing}").to_arrow_table()

    def newest(self, tables: list[pa.Table]) -> pa.Table:
        """The rows of several epochs as one: of each key of the view what came last."""
        if len(tables) == 1:
            return tables[0]
        numbered = [
            t.append_column("_nth", pa.repeat(pa.scalar(n), len(t))) for n, t in enumerate(tables)
        ]
        assert isinstance(self.input, View)
        key = ", ".join(quote(name) for name in self.input.key_columns) or "0"
        self.connection.register(self._rows, pa.concat_tables(numbered))
        made = self.connection.sql(
            f"select * exclude (_nth) from {quote(self._rows)} "
            # A correction may take a row away and give it again: the deletes go first.
            f"qualify row_number() over (partition by {key} order by _nth desc, _op desc) = 1"
        ).to_arrow_table()
        self.connection.unregister(self._rows)
        return made

    def _beyond_mark(self, rows: pa.Table, committed: Committed) -> pa.Table:
        """Final rows of what closes after what earlier generations delivered.

        Corrections are of what was delivered: all of them.
        """
        closed = self.closed_us
        if closed is None or self.output.emit != "final" or committed.kind == "correction":
            return rows
        names = rows.column_names
        # Rows of sessions that wait since before they said when they close have but their end.
        named = (n for n in (CLOSES, "window_end", "session_end_time") if n in names)
        closes = rows.column(next(named)).cast(pa.int64())
        return rows.filter(pc.greater(closes, closed))

    def _final(self, rows: pa.Table, committed: Committed) -> pa.Table:
        """Closed windows for a lake: the view's columns, the epoch, whether it is a correction."""
        count = len(rows)
        correction = committed.kind == "correction"
        gone = pc.equal(rows.column("_op"), "d")
        kept = rows.select([c.name for c in self.input.columns])
        kept = kept.append_column("_epoch", pa.repeat(pa.scalar(committed.epoch), count))
        kept = kept.append_column("_correction", pa.repeat(pa.scalar(correction), count))
        return kept.append_column("_withdrawn", gone)

    def _part(self, committed: Committed) -> SourceEpoch | None:
        """What an epoch has of the source; None where it gave nothing, and nothing was lost."""
        part = committed.sources.get(self.source.topic)
        return None if part is None or not (part.lost or len(part.events)) else part

    def stream_rows(self, committed: Committed, part: SourceEpoch) -> pa.Table:
        """The stream's rows that the destination lacks, with what identifies their records."""
        stream = self.input
        assert isinstance(stream, Stream)
        if self.output.name in committed.changes:
            rows = committed.changes[self.output.name]
        elif part.lost:
            raise StateRefused(
                f"{self.output.role} {self.output.name} was not given epoch {committed.epoch} yet, "
                f"and topic {part.source.topic} no longer holds its records",
                remedy="Restore the topic, or begin a new generation: headrace state reset APP",
            )
        elif stream.whole:
            rows = self._added(part.events, stream, committed.time_us)
        else:
            rows = self._placed(part, stream, committed.time_us)
        held, begun = (
            [r for r in had if r.identity == part.identity] for had in (self.held, self.begun)
        )
        if not held and not begun:
            return rows
        partitions = topic_partitions(rows.column("_partition"), part.number).to_numpy()
        offsets = rows.column("_offset").to_numpy()
        there = _inside(held, partitions, offsets)
        for (identity, partition), refused in self.refused_before.items():
            if identity == part.identity:
                there &= ~((partitions == partition) & np.isin(offsets, refused))
        if committed.kind != "replay":
            there |= _inside(begun, partitions, offsets)
        return rows.filter(pa.array(~there))

    def _placed(self, part: SourceEpoch, stream: Stream, time_us: int) -> pa.Table:
        events = part.events
        self.connection.register(self._rows, events)
        relation = events_relation(quote(self._rows), time_us)
        placed = Placing(stream, self.columns).placed.segments[-1].over.sql(relation)
        columns = "".join(f", {quote(c.name)}" for c in stream.columns)
        own = "_row, _partition, _offset, _replay"
        rows = self.connection.sql(
            f"select {own}{columns} from ({placed}) where _verdict = 0"
        ).to_arrow_table()
        self.connection.unregister(self._rows)
        arrival = part.records.column("arrival_time").take(rows.column("_row"))
        return rows.append_column("_arrival_time", arrival)

    def _added(self, events: pa.Table, stream: Stream, time_us: int) -> pa.Table:
        """All events with the added columns: only those are computed."""
        rows = events
        constant = [a for a in stream.added if a.expression.sql == "_processing_time"]
        computed = [a for a in stream.added if a not in constant]
        for added in constant:
            moment = pa.scalar(time_us, pa.int64()).cast(_UTC)
            rows = rows.append_column(added.name, pa.repeat(moment, len(rows)))
        if computed:
            self.connection.register(self._rows, events)
            relation = events_relation(quote(self._rows), time_us)
            chosen = ", ".join(f"{a.expression.sql} as {quote(a.name)}" for a in computed)
            if any(set(a.expression.columns) - self._known for a in computed):
                # A later step reads what an earlier one added: one after another.
                relation = _projected(relation, stream)
                chosen = ", ".join(quote(a.name) for a in computed)
            made = self.connection.sql(f"select {chosen} from {relation}").to_arrow_table()
            self.connection.unregister(self._rows)
            for added in computed:
                rows = rows.append_column(added.name, made.column(added.name))
        return rows

    def _changes(self, rows: pa.Table, committed: Committed) -> pa.Table:
        """Records of a view's changes: the row as JSON, a delete as a null value."""
        told = rows.select([n for n in rows.column_names if not n.startswith("_")])
        if committed.kind == "correction" and self.output.emit == "final":
            told = told.append_column("_correction", pa.repeat(pa.scalar(True), len(rows)))
            told = told.append_column("_epoch", pa.repeat(pa.scalar(committed.epoch), len(rows)))
        text = rows_to_json(told)
        if "_op" in rows.column_names:
            gone = pc.equal(rows.column("_op"), "d")
            text = pc.if_else(gone, pa.scalar(None, pa.string()), one_array(text))
        return pa.table([self.row_keys(rows), _as_bytes(text)], schema=RECORD)

    def row_keys(self, rows: pa.Table) -> pa.Array:
        """Keys that later records of the same row share: without one, or null, they stand as JSON.

        A record without a key goes to any partition, and nothing ever takes its place. A text that
        begins as such JSON does stands as JSON too, so that no text has the key of null.
        """
        keys, key = self.keys(rows), list(self.output.key)
        if not key:
            return pa.repeat(pa.scalar(b"{}"), len(rows))
        if len(key) > 1:
            return keys
        as_json = pc.fill_null(
            pc.starts_with(keys, f"{{{json.dumps(key[0], ensure_ascii=False)}:"), True
        )
        if not as_json.true_count:
            return keys
        return pc.if_else(as_json, _as_bytes(rows_to_json(rows.select(key))), keys)

    def keys(self, rows: pa.Table) -> pa.Array:
        """The record keys: a single column's text, several columns as JSON, or none."""
        key = list(self.output.key)
        if not key:
            return pa.nulls(len(rows), pa.binary())
        if len(key) == 1 and pa.types.is_string(rows.schema.field(key[0]).type):
            return _as_bytes(rows.column(key[0]))
        if len(key) == 1:
            self.connection.register(self._rows, rows.select(key))
            made = self.connection.sql(
                f"select {quote(key[0])}::varchar as k from {quote(self._rows)}"
            ).to_arrow_table()
            self.connection.unregister(self._rows)
            return _as_bytes(made.column("k"))
        return _as_bytes(rows_to_json(rows.select(key)))


def _projected(relation: str, stream: Stream) -> str:
    """`relation` behind the steps of a stream that only add columns."""
    for step in stream.steps:
        if isinstance(step, Project):
            listed = "".join(f", {c.expression.sql} as {quote(c.name)}" for c in step.columns)
            relation = f"(select _processing_time{listed} from {relation})"
    return relation


def _repeated(value: str | int, count: int) -> pa.DictionaryArray:
    """`value` in every row, held once."""
    return pa.DictionaryArray.from_arrays(pa.repeat(pa.scalar(0, pa.int8()), count), [value])


RECORD = pa.schema([("key", pa.binary()), ("value", pa.binary())])


def late_lists(rows: np.ndarray, committed: Committed, views: list[str]) -> pa.Array:
    """For each of `rows` the names of the views for which it was late, in their order."""
    counts = np.zeros(len(rows), np.int32)
    hits: list[tuple[np.ndarray, int]] = []
    for number, view in enumerate(views):
        late = committed.late.get(view)
        if late is None or not len(late):
            continue
        found = np.flatnonzero(np.isin(rows, late, assume_unique=False))
        counts[found] += 1
        hits.append((found, number))
    offsets = np.zeros(len(rows) + 1, np.int32)
    np.cumsum(counts, out=offsets[1:])
    if not hits:
        return pa.ListArray.from_arrays(pa.array(offsets), pa.array([], pa.string()))
    places = np.concatenate([h for h, _ in hits])
    names = np.concatenate([np.full(len(h), n, np.int32) for h, n in hits])
    order = np.argsort(places, kind="stable")
    values = pa.array(views, pa.string()).take(pa.array(names[order]))
    return pa.ListArray.from_arrays(pa.array(offsets), values)


def _inside(ranges: Sequence[Range], partitions: Offsets, offsets: Offsets) -> NDArray[np.bool_]:
    """Which records lie in one of `ranges`."""
    found = np.zeros(len(offsets), np.bool_)
    for one in ranges:
        found |= (partitions == one.partition) & (offsets >= one.start) & (offsets < one.end)
    return found


def _as_bytes(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    return one_array(column).cast(pa.binary())
