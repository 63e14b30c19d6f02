"""A committed epoch, made again from the log and the outbox: for deliveries after a crash."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import numpy as np
import pyarrow as pa

from headrace.engines.embedded.epochs.engine import Committed, JobEngine, batch_of
from headrace.engines.embedded.epochs.letters import check_accepted
from headrace.engines.embedded.epochs.reading import read_all
from headrace.engines.embedded.epochs.replay import recall_replay
from headrace.engines.embedded.epochs.sources import Position, SourceEpoch, SourceReader
from headrace.engines.embedded.epochs.tables import empty_relation
from headrace.engines.embedded.views.placing import Placing, late_rows
from headrace.engines.kernel.watermark import NEVER_US
from headrace.plan.operators import has_dedupe
from headrace.storage.contract import RECORDS, Fetched
from headrace.storage.lake.merge import widened
from headrace.values.errors import TopicRefused

_Range = tuple[int, int, int | None, bool]


def recall(engine: JobEngine, epoch: int) -> Committed:
    """Epoch `epoch` as it was when it was committed."""
    store = engine.store
    generation, kind, time_us = store.rows(
        "select generation, kind, epoch_us(epoch_time) from meta.epochs where epoch = ?", [epoch]
    )[0]
    sources = {}
    if kind == "live":
        for topic, reader in engine.readers.items():
            found = ranges(engine, topic, epoch)
            # A topic that the app was given later was not read.
            if found:
                sources[topic] = _source_epoch(engine, reader, epoch, time_us, found)
    elif kind == "replay":
        sources = recall_replay(engine, epoch)
    committed = Committed(generation, epoch, time_us, sources, kind=kind)
    for source in engine.job.sources:
        position = engine.ledger.position(source, epoch)
        if position is not None:
            committed.positions[source.topic] = position
    _find_late(engine, committed)
    for output, value in store.rows(
        "select output, value from meta.outbox where epoch = ?", [epoch]
    ):
        rows = pa.ipc.open_stream(value).read_all()
        committed.changes[output] = _with_new_columns(engine, output, rows)
    return committed


def _with_new_columns(engine: JobEngine, name: str, rows: pa.Table) -> pa.Table:
    """`rows` with the columns that their output's definition got since: null in them.

    Records of a topic stay what they were.
    """
    job = engine.job
    for output in job.outputs:
        if output.name == name and output.role != "topic":
            columns = empty_relation(job.input_of(output).columns)
            declared = engine.store.connection.sql(f"from {columns}").to_arrow_table().schema
            lacks = [f for f in declared if f.name not in rows.column_names]
            # Fields inside of a column may have come as well.
            fields = [
                declared.field(f.name)
                if pa.types.is_nested(f.type) and f.name in declared.names
                else f
                for f in rows.schema
            ]
            return widened(rows, pa.schema([*fields, *lacks]))
    return rows


def _find_late(engine: JobEngine, committed: Committed) -> None:
    """Finds out who was late, from the log; what a dedupe remembered then was written down."""
    for topic, part in committed.sources.items():
        columns = engine.readers[topic].columns
        batch = batch_of(part, columns, emit=False)
        for view in engine.job.views:
            if view.topic != topic or not part.late_possible:
                continue
            if has_dedupe(view):
                rows = engine.ledger.late(committed.epoch, view.name, part.records)
            else:
                rows = late_rows(engine.store.connection, Placing(view, columns), batch)
            if len(rows):
                committed.late[view.name] = rows


def ranges(engine: JobEngine, topic: str, epoch: int) -> list[_Range]:
    """(start, end, greatest time before, exempt) of an epoch, by partition."""
    return [
        (start, end, greatest, exempt)
        for start, end, greatest, exempt in engine.store.rows(
            "select start_offset, end_offset, greatest_before_us, exempt from meta.ranges "
            'where topic = ? and epoch = ? order by "partition"',
            [topic, epoch],
        )
    ]


def _source_epoch(
    engine: JobEngine, reader: SourceReader, epoch: int, time_us: int, found: list[_Range]
) -> SourceEpoch:
    topic = reader.topic
    watermark = engine.store.rows(
        "select before_us from meta.watermarks where topic = ? and epoch = ?", [topic.name, epoch]
    )[0][0]
    before = Position(
        [start for start, *_ in found],
        {p: greatest for p, (_, _, greatest, _) in enumerate(found) if greatest is not None},
        NEVER_US if watermark is None else watermark,
    )
    exempt = tuple(p for p, (*_, out) in enumerate(found) if out)
    ends = [end for _, end, *_ in found]
    identities = engine.ledger.identities(topic.name, epoch)
    if identities[-1] == topic.identity:
        # What retention has taken since is as lost as a topic that was made again.
        with suppress(TopicRefused):
            fetched = Fetched(read_all(topic, before.offsets, ends), ends)
            return _as_it_was(engine, reader, fetched, before, exempt, time_us)
    nothing = Fetched(RECORDS.empty_table(), ends)
    none = np.empty(0, np.int64)
    part = reader.again(engine.store.connection, nothing, before, exempt, time_us, none)
    return replace(part, identity=identities[-1], number=len(identities) - 1, lost=True)


def _as_it_was(
    engine: JobEngine,
    reader: SourceReader,
    fetched: Fetched,
    before: Position,
    exempt: tuple[int, ...],
    time_us: int,
) -> SourceEpoch:
    """The part of an epoch from its records, judged as they were when they were read.

    What was refused then stays so until it is replayed, also where the present definition accepts
    it. StateRefused where that refuses what was accepted.
    """
    connection, topic, records = engine.store.connection, reader.topic, fetched.records
    letters = connection.sql(
        'select "partition", "offset" from meta.dead_letters where view is null and topic = ? '
        'and topic_generation = ? and "offset" between ? and ?',
        params=[topic.name, topic.identity, min(before.offsets), max(fetched.next_offsets)],
    ).to_arrow_table()
    # What was kept of the epoch counts its rows: those of refused records stay in their places.
    places = records.select(["partition", "offset"])
    places = places.append_column("row", pa.array(np.arange(len(records))))
    found = places.join(letters, ["partition", "offset"], join_type="left semi")
    refused = found.column("row").to_numpy()
    part = reader.again(connection, fetched, before, exempt, time_us, refused)
    dead = part.dead.column("_row").to_numpy()
    check_accepted(topic.name, records.take(pa.array(np.setdiff1d(dead, refused))))
    return part
