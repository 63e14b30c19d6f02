"""Records of a stream that its topic refused: found among those that it lacks, and made again.

What it lacks, the comparison of `verify` tells; the records' own text has the log.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pyarrow as pa

from headrace.engines.embedded.deliveries.outgoing import RECORD, StreamRows
from headrace.engines.embedded.epochs.arrivals import Readings
from headrace.engines.embedded.epochs.engine import Committed
from headrace.engines.embedded.epochs.letters import check_accepted
from headrace.engines.embedded.epochs.reading import read_all
from headrace.engines.embedded.epochs.sources import SourceEpoch, SourceReader
from headrace.engines.embedded.runner import JobRunner
from headrace.engines.kernel.watermark import NEVER_US
from headrace.plan.operators import Dedupe, Output, Stream
from headrace.proof.bags import APART
from headrace.proof.events import events_of
from headrace.proof.fixed import Fixed
from headrace.proof.json_rows import carried
from headrace.proof.refused_keys import CUT, NOTED, key_numbers
from headrace.proof.topics import missing_in, wanted_rows
from headrace.values.errors import StateRefused
from headrace.values.schema import literal, quote

# The newest of them, where retention took more than these: what it took is lacking too.
_LOOKED_AT_MAX = 1_000_000
_SPAN_RECORDS = 50_000
_NEEDED = "is to be sent again"
_SOUGHT, _MADE = "_proof_sought", "_proof_made"


def refused_records(runner: JobRunner, fix: Fixed, output: Output, remedy: str) -> pa.Table:
    """The records (`key`, `value`) that the topic of a stream refused and still lacks.

    Raises StateRefused with the `remedy` where the log no longer has what they are made of.
    """
    stream = runner.job.input_of(output)
    assert isinstance(stream, Stream)
    source, reader = runner.job.source(stream.topic), runner.engine.readers[stream.topic]
    without = f"the records that topic {output.name} refused cannot be made again"
    events = events_of(runner, fix, source)
    events.require(runner, source, without, remedy)
    wanted, types = wanted_rows(runner, fix, events, output, stream)
    if not missing_in(runner, fix, output, wanted, types):
        return RECORD.empty_table()
    made = StreamRows(runner.job, output, fix.cursor, reader.columns)
    # Who is a duplicate is decided: of those that are lacking none is.
    made.input = replace(stream, steps=tuple(s for s in stream.steps if not isinstance(s, Dedupe)))
    _seek(fix, output, made, wanted, types)
    pieces = []
    for records in _records(fix, reader, runner.engine.ledger.time_us, without, remedy):
        part = _part(reader, records)
        # Their epoch is the one that tells them.
        told = Committed(fix.generation, fix.epoch, runner.engine.ledger.time_us, {})
        rows = made.stream_rows(told, part)
        found = made.records(part, rows)
        rows = rows.select(["_partition", "_offset", *types])
        for name in RECORD.names:
            rows = rows.append_column(f"_record_{name}", found.column(name))
        pieces.append(rows)
    return _chosen(fix, pa.concat_tables(pieces), types) if pieces else RECORD.empty_table()


def _seek(fix: Fixed, output: Output, made: StreamRows, wanted: str, types: dict[str, str]) -> None:
    """Makes _SOUGHT of the rows that are lacking and whose key was refused, with its `_number`."""
    same = " and ".join(f"w.{quote(c)} is not distinct from a.{quote(c)}" for c in types) or "true"
    by = ", ".join(f"w.{quote(c)}" for c in types) or "0"
    noted = f"meta.refused_rows where destination = {literal(output.name)}"
    rows = fix.cursor.sql(
        f"select w.* from ({wanted}) w join {APART} a on a._n > 0 and {same} "
        f"where w._epoch <= (select max(epoch) from {noted}) "
        f"qualify row_number() over (partition by {by} order by w._epoch desc) <= a._n "
        f"order by w._epoch desc limit {_LOOKED_AT_MAX}"
    ).to_arrow_table()
    numbers = key_numbers(fix, output, made.keys(rows))
    fix.cursor.register("_keyed", rows.append_column("_number", numbers))
    fix.cursor.execute(
        f"create or replace temp table {_SOUGHT} as from _keyed where _number is not null"
    )
    fix.cursor.unregister("_keyed")


def _records(
    fix: Fixed, reader: SourceReader, time_us: int, without: str, remedy: str
) -> Iterator[pa.Table]:
    """The records of what is sought: from the log, and dead letters that were replayed."""
    topic, begins = reader.topic, reader.topic.begin_offsets()
    readings = Readings(fix.cursor, topic, time_us)
    gone = StateRefused(f"{without}: the log no longer has what they are of", remedy=remedy)
    identity = f"_topic_generation = {literal(topic.identity)}"
    if fix.count(f"{_SOUGHT} where _replay is null and not {identity}"):
        raise gone
    for p, begin in enumerate(begins):
        places = fix.cursor.execute(
            f"select distinct _offset from {_SOUGHT} where _replay is null and _partition = {p} "
            "order by 1"
        ).fetchnumpy()["_offset"]
        while len(places):
            if places[0] < begin:
                raise gone
            near = places[places < places[0] + _SPAN_RECORDS]
            places = places[len(near) :]
            start, stop = list(begins), list(begins)
            start[p], stop[p] = int(near[0]), int(near[-1]) + 1
            found = readings.arrived(read_all(topic, start, stop))
            yield found.filter(pa.array(np.isin(found.column("offset").to_numpy(), near)))
    letters = fix.cursor.sql(
        'select l."partition", l."offset", null::blob as key, l.value, l.arrival_time '
        f"from meta.dead_letters l semi join {_SOUGHT} s on s._replay = l.replayed "
        'and s._topic_generation = l.topic_generation and s._partition = l."partition" '
        f'and s._offset = l."offset" where l.view is null and l.topic = {literal(topic.name)}'
    ).to_arrow_table()
    if len(letters):
        yield letters


def _part(reader: SourceReader, records: pa.Table) -> SourceEpoch:
    """Records that were accepted as a part of an epoch, of which a stream makes its rows."""
    found = reader.judged(records)
    check_accepted(reader.source.topic, records.take(found.dead.column("_row")), _NEEDED)
    accepted = records.take(found.events.column("_row"))
    events, count = found.events.drop_columns(["_row"]), len(found.events)
    own = {
        "_row": pa.array(np.arange(count)),
        "_seen": pa.array(np.full(count, NEVER_US, np.int64)),
        "_closed": pa.array(np.full(count, NEVER_US, np.int64)),
        "_replay": pa.nulls(count, pa.int64()),
    }
    for name, column in own.items():
        events = events.append_column(name, column)
    here = reader.position
    nothing = found.dead.slice(0, 0)
    return SourceEpoch(
        reader.source, here.identity, accepted, events, nothing, here, here, (), False, ""
    )


def _chosen(fix: Fixed, made: pa.Table, types: dict[str, str]) -> pa.Table:
    """Of the records `made` those of what is sought: of each key as many as were refused.

    Those first that begin as what was refused and are as long.
    """
    columns = "".join(f", {quote(c)}" for c in types)
    nth = f"row_number() over (partition by _partition, _offset{columns}) as _nth"
    same = "".join(f" and m.{quote(c)} is not distinct from s.{quote(c)}" for c in types)
    fix.cursor.register(_MADE, made)
    found = (
        "select m._record_key as key, m._record_value as value, s._number as number, s._epoch as "
        f"epoch from (select *, {nth} from (select * {carried(types)} from {_MADE})) m "
        f"join (select *, {nth} from {_SOUGHT}) s on m._partition = s._partition "
        f"and m._offset = s._offset and m._nth = s._nth{same}"
    )
    # What changes from run to run may make it a few bytes longer.
    unlike = (
        "(select min(abs(coalesce(n.value_bytes, strlen(n.value)) - octet_length(f.value))) "
        f"from {NOTED} n where n.number = f.number "
        f"and starts_with(decode(f.value), rtrim(n.value, {CUT})))"
    )
    chosen = fix.cursor.sql(
        "select key, value from (select *, row_number() over (partition by number "
        "order by unlike nulls last, epoch desc) as nth from "
        f"(select f.*, many, {unlike} as unlike from ({found}) f "
        f"join (select number, count(*) as many from {NOTED} group by 1) n using (number))) "
        "where nth <= many"
    ).to_arrow_table()
    fix.cursor.unregister(_MADE)
    return chosen.cast(RECORD)
