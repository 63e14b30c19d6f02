"""A job whose topic is made again, or moved on in, against plain Python: random logs and places."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from random import Random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import headrace.testing
from headrace.engines.embedded.epochs.seeking import start_of
from headrace.ops.jobs.rebuilding import rebuild_job
from headrace.ops.jobs.seeking import seeking
from headrace.plan.operators import Source
from headrace.storage.topics.log import LocalTopic
from headrace.testing import Driver
from headrace.values.clock import instant
from tests.engines.embedded.apps import app_of
from tests.engines.embedded.checking import check_counts, check_output
from tests.engines.embedded.logs import Record, random_log
from tests.engines.embedded.playing import Read, Sent, event_of
from tests.engines.embedded.trials import NOON
from tests.reference import Event, Run

PARTITIONS = range(3)
CHECKS = settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))


@dataclass
class Played:
    """What the test did: for each generation of the topic its partitions; moves by their epoch."""

    logs: list[list[list[Record]]] = field(default_factory=lambda: [[[] for _ in PARTITIONS]])
    again: set[int] = field(default_factory=set)

    def sent(self, records: list[Record]) -> None:
        for record in records:
            self.logs[-1][record.partition].append(record)

    def raw(self, event: Event) -> bytes | None:
        """The record that an event was."""
        generation = int(event.generation.removeprefix("g"))
        return self.logs[generation][event.partition][event.offset].value


@CHECKS
@given(
    st.integers(0, 1 << 40),
    st.lists(st.sampled_from(["again", "latest", "offsets"]), min_size=1, max_size=3),
    st.sampled_from([0, 5, 20]),
)
def test_rows_after_a_seek_are_what_plain_loops_say(
    seed: int, moves: list[str], lateness: int
) -> None:
    app, random = app_of(seed, 3, lateness=f"{lateness} seconds", alone=True), Random(seed)
    with headrace.testing.run(app, start=NOON) as t:
        played = Played()
        for number, move in enumerate(["", *moves]):
            if move:
                _move(t, played, move, random)
            records = random_log(t.plan, Random(seed + number), 10)
            played.sent(records)
            Sent().play(t, records)
            t.rows("everything0")
        run = _run_of(t, played, t.plan.jobs[0].source("things"))
        at_us = run.watermark_us
        assert t.watermark("things") == (None if at_us is None else instant(at_us))
        _check(t, run, played)
        t.verify()
        views = [v.name for v in t.plan.jobs[0].views]
        t.close()
        rebuild_job(t.plan.jobs[0], t._settings, views=views)
        t.open()
        t.verify()
        t.recompute()
        t.verify()


def _check(t: Driver, run: Run, played: Played) -> None:
    job, read = t.plan.jobs[0], Read(run, {}, len(run.events))
    for output in job.outputs:
        check_output(t, job, output, read, played.raw)
    for view in job.views:
        check_counts(t, job, view, read)


def _move(t: Driver, played: Played, move: str, random: Random) -> None:
    """Makes the topic again, or appends what will be skipped, and reads on behind it."""
    skipped = random_log(t.plan, random, 10)
    place = "latest"
    if move == "again":
        t.close()
        shutil.rmtree(t._settings.data / "topics" / "things")
        _make_topic(t)
        played.logs.append([[] for _ in PARTITIONS])
        place = random.choice(["earliest", "latest", "1970-01-01T00:00:00Z"])
    played.sent(skipped)
    Sent().play(t, skipped, actions=False)
    if move == "offsets":
        p = random.choice(PARTITIONS)
        place = f"{p}:{len(played.logs[-1][p])}"
    t.close()
    with seeking(t.plan.jobs[0], t._settings, "things", start_of(place)) as found:
        epoch = found.commit() if not found.stays else None
    if move == "again":
        assert epoch is not None
        played.again.add(epoch)
    t.open()


def _make_topic(t: Driver) -> None:
    t._topics["things"] = LocalTopic.ensure(
        t._settings.data / "topics", "things", len(PARTITIONS), clock=t.clock.now_us
    )


def _run_of(t: Driver, played: Played, source: Source) -> Run:
    """What was run, from the offsets that each epoch read; everything else is worked out here."""
    rows = t.runners["random"].store.rows(
        'select epoch, "partition", start_offset, end_offset from meta.ranges '
        'order by epoch, "partition"'
    )
    exempt = dict(
        t.runners["random"].store.rows(
            'select (epoch, "partition")::varchar, exempt from meta.ranges'
        )
    )
    events: list[Event] = []
    starts_us: dict[int, int | None] = {}
    greatest: dict[int, int] = {}
    watermark_us: int | None = None
    generation = 0
    for epoch in sorted({e for e, *_ in rows}):
        starts_us[epoch] = watermark_us
        if epoch in played.again:
            generation, greatest = generation + 1, {}
        held_back = False
        for number, partition, start, end in rows:
            if number != epoch:
                continue
            for offset in range(start, end):
                value = played.logs[generation][partition][offset].value
                place = Event({}, partition, offset, None, epoch, None, f"g{generation}")
                event = event_of(source, value, NOON, place)
                if not isinstance(event, Event):
                    continue
                events.append(event)
                time_us = event.time_us or 0
                greatest[partition] = max(greatest.get(partition, time_us), time_us)
            out = exempt[f"({epoch}, {partition})"]
            held_back |= not out and partition not in greatest
        counted = [p for p in PARTITIONS if not exempt[f"({epoch}, {p})"]]
        if counted and not held_back:
            reached = min(greatest[p] for p in counted) - source.lateness_us
            watermark_us = reached if watermark_us is None else max(watermark_us, reached)
    return Run(events, source.lateness_us, starts_us, max(starts_us, default=0), watermark_us)
