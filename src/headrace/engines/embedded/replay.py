"""Replays dead letters: records that were refused are judged again by the present definition.

A record that is accepted now keeps its identity and gets a replay number. It moves no watermark
and is late for every view with windows; running totals apply it at once (semantics, section 2).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa

from headrace.engines.embedded.engine import Committed, JobEngine
from headrace.engines.embedded.sources import Position, SourceEpoch, events_relation
from headrace.engines.kernel.watermark import NEVER_US
from headrace.plan.operators import Source
from headrace.values.schema import literal, quote

_LETTERS = (
    'select "partition", "offset", null::blob as key, value, arrival_time, topic_generation '
    "from meta.dead_letters where view is null and topic = {topic} and {which} "
    'order by "partition", "offset"'
)


def replay_epoch(engine: JobEngine, now_us: int) -> tuple[Committed | None, int]:
    """Judges all dead letters of the job's sources again, in one epoch.

    Returns the epoch (None where nothing is accepted) and how many records are still refused.
    """
    number = engine.store.rows("select coalesce(max(replay), 0) + 1 from meta.replays")[0][0]
    sources, refused = {}, 0
    for topic, reader in engine.readers.items():
        part = _judged(engine, reader.source, "replayed is null and value_digest is null", number)
        refused += len(part.dead)
        if len(part.events):
            sources[topic] = part
    if not sources:
        return None, refused
    committed = engine.commit_replay(sources, number, max(now_us, engine.ledger.time_us))
    return committed, refused


def recall_replay(engine: JobEngine, epoch: int) -> dict[str, SourceEpoch]:
    """The source's parts of a replay epoch, made again."""
    found = engine.store.rows("select topic, replay from meta.replays where epoch = ?", [epoch])
    return {
        topic: _judged(engine, engine.job.source(topic), f"replayed = {number}", number)
        for topic, number in found
    }


def _judged(engine: JobEngine, source: Source, which: str, number: int) -> SourceEpoch:
    connection = engine.store.connection
    records = connection.sql(
        _LETTERS.format(topic=literal(source.topic), which=which)
    ).to_arrow_table()
    reader = engine.readers[source.topic]
    found = reader.judged(records.drop_columns(["topic_generation"]))
    events, position = found.events, reader.position
    greatest = position.greatest_us
    seen = np.array(
        [
            greatest[p] - source.lateness_us if p in greatest else NEVER_US
            for p in events.column("_partition").to_pylist()
        ],
        np.int64,
    )
    events = events.append_column("_seen", pa.array(seen))
    events = events.append_column("_closed", pa.array(seen))
    events = events.append_column("_replay", pa.array(np.full(len(events), number, np.int64)))
    name = f"_events_{source.topic}"
    connection.register(name, events)
    here = Position(list(position.offsets), dict(greatest), position.watermark_us)
    relation = events_relation(quote(name), engine.ledger.time_us)
    identity = engine.ledger.identity(source.topic) or reader.topic.identity
    return SourceEpoch(
        source, identity, records, events, found.dead, here, replace(here), (), True, relation
    )
