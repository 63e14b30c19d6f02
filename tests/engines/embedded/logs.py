"""Random logs, what a test does with them, and the record of a run for the reference."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from random import Random
from typing import Any

from hypothesis import strategies as st

from headrace.testing import Driver
from tests.reference import Event, Run, microseconds
from tests.views.cases import START, at

START_US = microseconds(START)
FIELDS = ("who", "kind", "n", "f", "text", "items")
MALFORMED = [b"{", b"[]", b'{"at": "2026-01-01", "kind": "x"}', None, b"\xff{}"]

_VALUES = st.fixed_dictionaries(
    {
        "who": st.sampled_from(["a", "b", None]),
        "kind": st.sampled_from(["s", "e", "x", "x", "x", "se"]),
        "n": st.one_of(st.none(), st.integers(-2, 3)),
        "f": st.one_of(st.none(), st.sampled_from([0.5, 1.0, -2.0])),
        "text": st.sampled_from(["1", "2", "-7", "seven"]),
        "items": st.one_of(
            st.none(), st.lists(st.one_of(st.none(), st.integers(0, 2)), max_size=3)
        ),
    }
)
_TIMES = st.one_of(st.integers(0, 12), st.integers(0, 60)).map(float)


@dataclass(frozen=True)
class Record:
    """A record on its way to a partition: an event, or bytes that are none.

    `then` is what happens after it: nothing, an epoch, or an epoch, a stop and a start.
    """

    partition: int
    value: bytes | None
    event: dict[str, Any] | None
    then: str


def _record(partition: int, second: float, values: dict[str, Any], bad: int, then: str) -> Record:
    if bad < len(MALFORMED):
        return Record(partition, MALFORMED[bad], None, then)
    event = {"at": at(second), **values}
    text = {"at": at(second).isoformat() + "Z", **values}
    return Record(partition, json.dumps(text).encode(), event, then)


_RECORD = st.builds(
    _record,
    st.integers(0, 2),
    _TIMES,
    _VALUES,
    st.integers(0, 60),
    st.sampled_from(["", "", "", "epoch", "epoch", "restart"]),
)


@st.composite
def logs(draw: st.DrawFn) -> list[Record]:
    """Up to 24 records, some of them twice."""
    size = draw(st.integers(1, 21))
    made = draw(st.lists(_RECORD, min_size=size, max_size=size))
    again = draw(st.lists(st.integers(0, size - 1), max_size=3))
    return made + [made[i] for i in again]


def scattered(seed: int) -> list[Record]:
    """A log with more variety than a strategy's, which likes to repeat itself."""
    random = Random(seed)
    made = []
    for _ in range(random.randint(10, 30)):
        values = {
            "who": random.choice(["a", "b", None]),
            "kind": random.choice(["s", "e", "x", "x", "x", "se"]),
            "n": random.choice([None, -2, 0, 1, 1, 2, 3]),
            "f": random.choice([None, 0.5, 1.0, -2.0]),
            "text": random.choice(["1", "1", "2", "-7", "seven"]),
            "items": random.choice([None, [], [1], [2, 0], [None, 1, 2]]),
        }
        second = random.choice([random.randint(0, 12), random.randint(0, 60)])
        then = random.choice(["", "", "", "epoch", "epoch", "restart"])
        bad = random.randint(0, 60)
        made.append(_record(random.randint(0, 2), float(second), values, bad, then))
    return made + random.choices(made, k=random.randint(0, 3))


def play(t: Driver, records: list[Record], epochs: bool) -> None:
    """Sends the records; with `epochs` also does what comes after each."""
    for record in records:
        t.send("things", [record.value], partition=record.partition)
        if epochs and record.then:
            t.epoch()
        if epochs and record.then == "restart":
            t.restart()


def run_of(t: Driver, records: list[Record], lateness_us: int) -> Run:
    """What was run, from the epochs that the job wrote down; the watermarks are worked out here."""
    ranges = t.runners["random"].store.rows(
        'select epoch, "partition", start_offset, end_offset, exempt from meta.ranges '
        'order by epoch, "partition"'
    )
    log: list[list[Record]] = [[r for r in records if r.partition == p] for p in range(3)]
    events: list[Event] = []
    starts_us: dict[int, int | None] = {}
    greatest: dict[int, int] = {}
    watermark_us: int | None = None
    for epoch in sorted({e for e, *_ in ranges}):
        starts_us[epoch] = watermark_us
        exempt = set()
        for number, partition, start, end, out in ranges:
            if number != epoch:
                continue
            if out:
                exempt.add(partition)
                assert partition not in greatest, "only partitions without events are exempt"
            for offset in range(start, end):
                event = log[partition][offset].event
                if event is None:
                    continue
                time_us = microseconds(event["at"])
                events.append(Event(event, partition, offset, time_us, epoch))
                greatest[partition] = max(greatest.get(partition, time_us), time_us)
        counted = [p for p in range(3) if p not in exempt]
        if counted and all(p in greatest for p in counted):
            reached = min(greatest[p] for p in counted) - lateness_us
            watermark_us = reached if watermark_us is None else max(watermark_us, reached)
    assert sum(r.event is not None for r in records) == len(events)
    last = max(starts_us, default=0)
    return Run(events, lateness_us, starts_us, last, watermark_us)


def watermark_of(run: Run) -> datetime | None:
    """The source's watermark as `Driver.watermark` gives it."""
    return None if run.watermark_us is None else at((run.watermark_us - START_US) / 1e6)
