"""Plays a log to a job, and works out by hand what the job has read, for the reference."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from headrace.plan.operators import Job, Source
from headrace.testing import Driver
from headrace.values.clock import instant
from tests.engines.embedded.logs import Record
from tests.engines.kernel.judge import Refused, judge, time_at
from tests.reference import Event, Expressions, Recompute, Run, microseconds

Place = tuple[int, int]


@dataclass
class Sent:
    """Every record by its place, with its arrival time."""

    records: dict[str, dict[Place, tuple[bytes | None, datetime]]] = field(
        default_factory=lambda: defaultdict(dict)
    )

    def play(self, t: Driver, log: Sequence[Record], actions: bool = True) -> None:
        """Sends the records; with `actions` also does what comes after each."""
        ends: dict[tuple[str, int], int] = defaultdict(int)
        for topic, found in self.records.items():
            for partition, _ in found:
                ends[topic, partition] += 1
        for record in log:
            t.send(record.topic, [record.value], partition=record.partition)
            place = record.partition, ends[record.topic, record.partition]
            ends[record.topic, record.partition] += 1
            self.records[record.topic][place] = record.value, instant(t.clock.now_us())
            if actions and record.then == "wait":
                t.advance(timedelta(minutes=11))
            if actions and record.then:
                t.epoch()
            if actions and record.then == "restart":
                t.restart()


@dataclass(frozen=True)
class Read:
    """What a job has read of a source: the run, and the refused ones by place with the field."""

    run: Run
    refused: dict[Place, str | None]
    records: int


def read_of(t: Driver, job: Job, source: Source, sent: Sent) -> Read:
    """From the ranges, exemptions and replays that the job wrote down; the rest by hand."""
    store = t.runners[job.id].store
    ranges = store.rows(
        'select epoch, "partition", start_offset, end_offset, exempt from meta.ranges '
        f"where topic = '{source.topic}' order by epoch, \"partition\""
    )
    replays = store.rows(
        'select l."partition", l."offset", r.replay, r.epoch from meta.replays r '
        "join meta.dead_letters l on l.replayed = r.replay and l.topic = r.topic "
        f"where r.topic = '{source.topic}'"
    )
    events: list[Event] = []
    refused: dict[Place, str | None] = {}
    starts_us: dict[int, int | None] = {}
    greatest: dict[int, int] = {}
    watermark_us: int | None = None
    replayed = {(p, o): (number, epoch) for p, o, number, epoch in replays}
    read, ends = 0, [0] * source.partitions
    for epoch in sorted({e for e, *_ in ranges}):
        starts_us[epoch] = watermark_us
        exempt = set()
        for _, partition, start, end, out in (r for r in ranges if r[0] == epoch):
            if out:
                assert start == end, "a partition with something unread is not exempt"
                assert partition not in greatest or source.idle_timeout_us is not None
                exempt.add(partition)
            assert start == ends[partition], "nothing is left out, and nothing read again"
            ends[partition] = end
            for offset in range(start, end):
                read += 1
                place = partition, offset
                made = _event(source, sent, place, epoch, None)
                if isinstance(made, Event) and place not in replayed:
                    events.append(made)
                    if made.time_us is not None:
                        before_us = greatest.get(partition, made.time_us)
                        greatest[partition] = max(before_us, made.time_us)
                elif place in replayed:
                    number, later = replayed[place]
                    made = _event(source, sent, place, later, number)
                    assert isinstance(made, Event), "a replay accepts what fits"
                    events.append(made)
                else:
                    assert not isinstance(made, Event)
                    refused[place] = made
        counted = [p for p in range(source.partitions) if p not in exempt]
        if counted and all(p in greatest for p in counted):
            reached = min(greatest[p] for p in counted) - source.lateness_us
            watermark_us = reached if watermark_us is None else max(watermark_us, reached)
    # Where the job begins and ends, the epochs do not say.
    assert read == len(sent.records[source.topic]), "all that was sent is read"
    until = max([*starts_us, *(epoch for _, epoch in replayed.values())], default=0)
    run = Run(events, source.lateness_us, starts_us, until, watermark_us)
    return Read(run, refused, read)


def recomputes_of(t: Driver, job: Job, view: str) -> list[Recompute]:
    """What was recomputed of a view, as the job wrote it down."""
    rows = t.runners[job.id].store.rows(
        'select number, from_us, bound_us, epoch, "partition", end_offset from meta.regions '
        f"where view = '{view}' order by number"
    )
    made: dict[int, Recompute] = {}
    for number, from_us, bound_us, epoch, partition, end in rows:
        before = made[number].offsets if number in made else {}
        made[number] = Recompute(from_us, bound_us, {**before, ("g1", partition): end}, epoch)
    return list(made.values())


def _event(
    source: Source, sent: Sent, place: Place, epoch: int, replay: int | None
) -> Event | str | None:
    value, arrival = sent.records[source.topic][place]
    return event_of(source, value, arrival, Event({}, *place, None, epoch, replay))


def event_of(
    source: Source, value: bytes | None, arrival: datetime, where: Event
) -> Event | str | None:
    """`where`, an event without values and time, with both; or the field that is refused."""
    try:
        values: dict[str, Any] = judge(source, value, arrival)
    except Refused as refused:
        return refused.field
    for check in source.checks:
        if Expressions()[check.condition.sql](values) is False:
            read = check.condition.columns
            return check.name if check.name in values else read[0] if len(read) == 1 else None
    time = time_at(source.time, values, source.time_unit) if source.time else None
    return replace(where, values=values, time_us=None if time is None else microseconds(time))
