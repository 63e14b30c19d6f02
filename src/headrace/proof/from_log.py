"""The accepted events as the log gives them: what was read of it, decoded again."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from headrace.engines.embedded.epochs.arrivals import Readings
from headrace.engines.embedded.epochs.letters import check_accepted
from headrace.engines.embedded.epochs.reading import read_all
from headrace.engines.embedded.epochs.sources import SourceReader
from headrace.engines.embedded.runner import JobRunner
from headrace.plan.operators import Source
from headrace.proof.fixed import Fixed, Had
from headrace.values.errors import TopicRefused
from headrace.values.schema import literal, quote, sql_type

_CHUNK_RECORDS = 500_000
_NOTHING = Had()
_NOT_AS_IT_WAS = "no lake has all of the events as they were", "Put back the definition of then"


def from_log(
    runner: JobRunner, fix: Fixed, source: Source, name: str, had: Had = _NOTHING
) -> tuple[str, str, bool]:
    """Decodes what was read behind `had` into the temporary table `name`; nothing if some is gone.

    Returns that name, in words where the events come from, and whether they are all there.
    """
    topic, reads = runner.engine.readers[source.topic].topic, _first_reads(fix, source, had)
    typed = ", ".join(f"{quote(f.name)} {sql_type(f.type)}" for f in source.schema.fields)
    while True:
        fix.cursor.execute(
            f"create or replace temp table {name} ({typed}, _topic_generation varchar, "
            "_partition integer, _offset bigint, _replay bigint, _epoch bigint, "
            "_arrival_time timestamp, _time timestamp)"
        )
        # Partitions that came since then are not asked for.
        begin = topic.begin_offsets()[: len(fix.offsets[source.topic])]
        origin, whole = _reach(reads, topic.identity, begin)
        if not whole:
            return name, origin, False
        try:
            _read_log(runner, fix, source, name, {p: start for _, p, start in reads})
        except TopicRefused:
            # The job goes on meanwhile, and so does retention.
            if topic.begin_offsets()[: len(begin)] == begin:
                raise
        else:
            return name, origin, True


def _read_log(
    runner: JobRunner, fix: Fixed, source: Source, name: str, first: Mapping[int, int]
) -> None:
    """Fills the table, piece by piece, from the offsets `first`, by partition, to the end."""
    reader, stop = runner.engine.readers[source.topic], fix.offsets[source.topic]
    at = [first.get(p, end) for p, end in enumerate(stop)]
    readings = Readings(fix.cursor, reader.topic, runner.engine.ledger.time_us)
    while any(a < s for a, s in zip(at, stop, strict=True)):
        share = max(1, _CHUNK_RECORDS // len(at))
        upto = [min(a + share, s) for a, s in zip(at, stop, strict=True)]
        _insert(fix, reader, readings.arrived(read_all(reader.topic, at, upto)), name)
        at = upto
    _insert_replayed(fix, reader, name)


def _first_reads(fix: Fixed, source: Source, had: Had) -> list[tuple[str, int, int]]:
    """(identity, partition, offset) of what was read first behind `had`."""
    # Of joined epochs that it has a part of what it lacks; a partition that came since has none.
    return fix.cursor.execute(
        'select identity, "partition", min(case when first_epoch <= $epoch '
        'then greatest(start_offset, ($offsets::bigint[])["partition" + 1]) '
        "else start_offset end) from meta.reads "
        "where epoch > $epoch and topic = $topic and end_offset > start_offset group by 1, 2",
        {
            "epoch": had.epoch,
            "offsets": list(had.offsets.get(source.topic, [])),
            "topic": source.topic,
        },
    ).fetchall()


def _reach(rows: list[tuple[str, int, int]], identity: str, begin: list[int]) -> tuple[str, bool]:
    """How far the log reaches back, in words, and whether that is to all that was read of it."""
    if any(i != identity for i, *_ in rows):
        return "the log, which holds only the present generation of the topic", False
    whole = all(begin[p] <= first for _, p, first in rows)
    return "the log" if whole else f"the log from offsets {begin}", whole


def _insert(fix: Fixed, reader: SourceReader, records: pa.Table, name: str) -> None:
    source, identity = reader.source, reader.topic.identity
    decoded = reader.judged(records)
    fix.cursor.register("_decoded", decoded.events)
    fix.cursor.execute(
        f"insert into {name} select {columns(source, 'd.')}, {literal(identity)}, _partition, "
        f"_offset, null, r.epoch, _arrival_time, _time {_accepted_sql(source, identity)}"
    )
    fix.cursor.unregister("_decoded")
    if len(decoded.dead):
        places = records.select(["partition", "offset"]).take(decoded.dead.column("_row"))
        fix.cursor.register("_decoded", places.rename_columns(["_partition", "_offset"]))
        refused = fix.cursor.sql(
            'select _partition as "partition", _offset as "offset" '
            f"{_accepted_sql(source, identity)} order by all limit 1"
        ).to_arrow_table()
        fix.cursor.unregister("_decoded")
        check_accepted(source.topic, refused, *_NOT_AS_IT_WAS)


def _accepted_sql(source: Source, identity: str) -> str:
    """From the rows of `_decoded` those of records that were accepted, with what read them."""
    return (
        f"from _decoded d join meta.reads r on r.topic = {literal(source.topic)} "
        f'and r.identity = {literal(identity)} and r."partition" = d._partition '
        "and d._offset >= r.start_offset and d._offset < r.end_offset "
        # The present definition may accept what was refused when it was read.
        "anti join meta.dead_letters l on l.view is null "
        f"and l.topic = {literal(source.topic)} and l.topic_generation = {literal(identity)} "
        'and l."partition" = d._partition and l."offset" = d._offset'
    )


def _insert_replayed(fix: Fixed, reader: SourceReader, name: str) -> None:
    """Dead letters that a replay accepted: of the log they were left out."""
    source = reader.source
    records = fix.cursor.sql(
        'select "partition", "offset", null::blob as key, value, arrival_time, replayed, '
        "topic_generation, epoch from meta.dead_letters "
        "where replayed is not null and view is null "
        f"and topic = {literal(source.topic)}"
    ).to_arrow_table()
    if not len(records):
        return
    decoded = reader.judged(records)
    check_accepted(source.topic, records.take(decoded.dead.column("_row")), *_NOT_AS_IT_WAS)
    events = decoded.events
    extra = records.select(["replayed", "topic_generation", "epoch"]).take(events.column("_row"))
    for column in extra.column_names:
        events = events.append_column(f"_r_{column}", extra.column(column))
    fix.cursor.register("_decoded", events)
    fix.cursor.execute(
        f"insert into {name} select {columns(source, 'd.')}, _r_topic_generation, _partition, "
        "_offset, _r_replayed, e.epoch, _arrival_time, _time from _decoded d "
        f"join meta.replays e on e.replay = _r_replayed and e.topic = {literal(source.topic)}"
    )
    fix.cursor.unregister("_decoded")


def columns(source: Source, of: str = "") -> str:
    """The event's columns; `of` is an alias with its dot, beside tables that have columns too."""
    return ", ".join(of + quote(f.name) for f in source.schema.fields)
