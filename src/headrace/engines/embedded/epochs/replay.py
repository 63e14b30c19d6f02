"""Replays dead letters: records that were refused are judged again by the present definition.

A record that is accepted now keeps its identity and gets a replay number. It moves no watermark
and is late for every view with windows; running totals apply it at once (semantics, section 2).
There may be more of them than memory holds: they go in pieces, an epoch and a replay number for
each, together with one of every other topic.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import zip_longest
from typing import Any

import numpy as np
import pyarrow as pa

from headrace.engines.embedded.epochs.engine import Committed, JobEngine
from headrace.engines.embedded.epochs.letters import check_accepted
from headrace.engines.embedded.epochs.sources import Position, SourceEpoch, events_relation
from headrace.engines.kernel.generations import kernel_partitions
from headrace.engines.kernel.watermark import NEVER_US
from headrace.plan.operators import Source
from headrace.values.schema import literal, quote
from headrace.values.weights import RECORD_BYTES

PIECE_WEIGHT = 250_000
"""As how many records (values/weights.py) those of one piece count: an epoch's, catching up."""

_WAITING = "view is null and replayed is null and value_digest is null"
_LETTERS = (
    'select "partition", "offset", null::blob as key, value, arrival_time, topic_generation '
    "from meta.dead_letters where view is null and topic = {topic} and {which} "
    'order by "partition", "offset"'
)
_PIECES = (
    "select topic_generation, min(place), max(place) from (select topic_generation, "
    'struct_pack(p := "partition", o := "offset") as place, '
    f"sum(greatest(1, coalesce(value_bytes, 0) // {RECORD_BYTES})) over "
    '(partition by topic_generation order by "partition", "offset") // ? as piece '
    f"from meta.dead_letters where {_WAITING} and topic = ?) "
    "group by topic_generation, piece order by 2"
)


@dataclass
class Replayed:
    """What became of all dead letters: how many are `accepted`, in which epochs."""

    accepted: int = 0
    refused: int = 0
    epochs: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class _Piece:
    """The dead letters of a topic's generation from one (partition, offset) to another."""

    topic: str
    identity: str
    first: tuple[int, int]
    last: tuple[int, int]

    @property
    def condition(self) -> str:
        (low, start), (high, end) = self.first, self.last
        return (
            f"{_WAITING} and topic_generation = {literal(self.identity)} "
            f'and "partition" between {low} and {high} '
            f'and ("partition" > {low} or "offset" >= {start}) '
            f'and ("partition" < {high} or "offset" <= {end})'
        )


def _at_once(work: Callable[[], Any]) -> Any:
    return work()


def replay_epochs(
    engine: JobEngine,
    now_us: int,
    hand_over: Callable[[Committed], None],
    alone: Callable[[Callable[[], Any]], Any] = _at_once,
) -> Replayed:
    """Judges all dead letters of the job's sources again, piece by piece.

    Each epoch is given to `hand_over` when it is committed: a later one that fails must not keep it
    from the deliveries, which would pass it. `alone` runs each piece; between two of them the job
    may go on. Where this ends early, what was accepted is, and the rest waits for the next replay.
    """
    rounds, cut = alone(lambda: (_rounds(engine), _cut_letters(engine)))
    found = Replayed(refused=cut)
    for pieces in rounds:
        accepted, refused, epoch = alone(partial(_replay, engine, pieces, now_us, hand_over))
        found.accepted += accepted
        found.refused += refused
        found.epochs += [] if epoch is None else [epoch]
    return found


def _rounds(engine: JobEngine) -> list[list[_Piece]]:
    """All dead letters that can be judged, as they go together: at most one piece of a topic."""
    share = max(1, PIECE_WEIGHT // max(1, len(engine.readers)))
    pieces = []
    for topic in engine.readers:
        found = engine.store.rows(_PIECES, [share, topic])
        pieces.append(
            [
                _Piece(topic, identity, (first["p"], first["o"]), (last["p"], last["o"]))
                for identity in engine.ledger.identities(topic)
                for of, first, last in found
                if of == identity
            ]
        )
    return [[p for p in pieces if p is not None] for pieces in zip_longest(*pieces)]


def _replay(
    engine: JobEngine, pieces: list[_Piece], now_us: int, hand_over: Callable[[Committed], None]
) -> tuple[int, int, int | None]:
    """How many of these are accepted and refused, and the epoch of those that are accepted."""
    number = engine.store.rows("select coalesce(max(replay), 0) + 1 from meta.replays")[0][0]
    sources, refused = {}, 0
    for piece in pieces:
        source = engine.job.source(piece.topic)
        part, dead = _judged(engine, source, piece.condition, number)
        refused += len(dead)
        if len(part.events):
            sources[piece.topic] = part
    if not sources:
        return 0, refused, None
    time_us = max(now_us, engine.ledger.time_us)
    committed = engine.commit_replay(sources, number, time_us)
    hand_over(committed)
    return committed.records, refused, committed.epoch


def _cut_letters(engine: JobEngine) -> int:
    """How many dead letters cannot be judged: of what was above the limit only a part is here."""
    rows = engine.store.rows(
        "select topic, count(*) from meta.dead_letters where view is null and replayed is null "
        "and value_digest is not null group by 1"
    )
    return sum(count for topic, count in rows if topic in engine.readers)


def recall_replay(engine: JobEngine, epoch: int) -> dict[str, SourceEpoch]:
    """The parts of a replay epoch, made again, of the sources that the job has."""
    found = engine.store.rows("select topic, replay from meta.replays where epoch = ?", [epoch])
    sources = {}
    for topic, number in found:
        # One that was taken out of the app since gives nothing to anybody.
        if topic not in engine.readers:
            continue
        source = engine.job.source(topic)
        then = engine.ledger.position(source, epoch)
        part, refused = _judged(engine, source, f"replayed = {number}", number, then)
        check_accepted(topic, refused)
        sources[topic] = part
    return sources


def _judged(
    engine: JobEngine, source: Source, which: str, number: int, then: Position | None = None
) -> tuple[SourceEpoch, pa.Table]:
    """Those dead letters `which` that are accepted as a part of an epoch, and those that are not.

    They are seen from where the source was `then`: now, unless it is said.
    """
    connection = engine.store.connection
    records = connection.sql(
        _LETTERS.format(topic=literal(source.topic), which=which)
    ).to_arrow_table()
    reader = engine.readers[source.topic]
    identities = engine.ledger.identities(source.topic)
    identity = records.column("topic_generation")[0].as_py() if len(records) else identities[-1]
    # What is made of records names their generation itself.
    records = records.drop_columns(["topic_generation"])
    nth = identities.index(identity)
    found = reader.judged(records)
    # Rows count what was accepted: that is all there is when the epoch is made again.
    accepted, refused = (records.take(rows.column("_row")) for rows in (found.events, found.dead))
    events, position = found.events.drop_columns(["_row"]), then or reader.position
    events = events.append_column("_row", pa.array(np.arange(len(events))))
    greatest = position.greatest_us if nth == reader.number else _greatest(engine, source, nth)
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
    events = kernel_partitions(events, nth)
    name = f"_events_{source.topic}"
    connection.register(name, events)
    here = Position(list(position.offsets), dict(greatest), position.watermark_us)
    relation = events_relation(quote(name), engine.ledger.time_us)
    part = SourceEpoch(
        source,
        identity,
        accepted,
        events,
        found.dead.slice(0, 0),
        here,
        replace(here),
        (),
        True,
        relation,
        number=nth,
    )
    return part, refused


def _greatest(engine: JobEngine, source: Source, number: int) -> dict[int, int]:
    """The greatest times of a generation of the topic that is read no more, by partition."""
    rows = engine.store.rows(
        'select "partition", max(greatest_after_us) from meta.reads '
        "where topic = ? and number = ? group by 1",
        [source.topic, number],
    )
    return {partition: us for partition, us in rows if us is not None}
