"""The activity app's simulated events, appended at a steady rate by a process of its own.

Their own time runs faster than the clock, so that windows and sessions of minutes to half an hour
open and close all the while.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import cast

from headrace.apps.activity_simulation.generator import ActivityGenerator
from headrace.ops.ingest.generator import Partitions, SimulatedBatch, Simulation
from headrace.storage.topics.log import LocalTopic
from headrace.storage.topics.writer import Limits
from headrace.values.clock import instant_us
from tests.torture.kills.child import CONTEXT

START = datetime(2026, 1, 5)
HASTE = 250
_PIECES_PER_SECOND = 20
_WAIT_SECONDS_MAX = 0.5
_LATE_EVERY, _MALFORMED_EVERY = 50, 100_003
_EVENTS_MAX = 1_000_000_000


@dataclass(frozen=True)
class Feed:
    """`rate` records a second into a topic of `topics`, until `enough`; `said` gets the sums.

    The job must not fall further behind than `lag_seconds_max`: then the feed waits, because what
    nobody has read is kept, whatever retention says. Without a job that reads, `count` records
    come at once.
    """

    topics: Path
    topic: str
    seed: int
    rate: float
    segment_bytes: int
    said: Path
    lag_seconds_max: float = 30.0
    count: int | None = None

    def start(self, enough: Event) -> BaseProcess:
        process = CONTEXT.Process(target=_feed, args=(self, enough))
        process.start()
        return cast(BaseProcess, process)

    def sums(self) -> dict[str, float]:
        """What an ended feed says: `records`, `seconds`, and how long it `waited_seconds`."""
        sums: dict[str, float] = json.loads(self.said.read_text(encoding="utf-8"))
        return sums

    def simulation(self) -> Simulation:
        # No more than fits between its start and now: what lies ahead of the clock is refused.
        return Simulation(
            count=_EVENTS_MAX,
            rate=self.rate / HASTE,
            seed=self.seed,
            start_us=instant_us(START),
            late_every=_LATE_EVERY,
            malformed_every=_MALFORMED_EVERY,
        )


def _feed(feed: Feed, enough: Event) -> None:
    topic = LocalTopic.ensure(feed.topics, feed.topic, 3, limits=Limits(feed.segment_bytes))
    generator = ActivityGenerator(feed.simulation(), Partitions(topic.partitions))
    given, waited, begun = 0, 0.0, time.monotonic()
    for piece in _pieces(generator.batches(), feed):
        if feed.count is None:
            waited += _not_too_far(topic, feed, enough)
            due = begun + waited + given / feed.rate
            enough.wait(max(0.0, due - time.monotonic()))
        if enough.is_set() or (feed.count is not None and given >= feed.count):
            break
        topic.append_numbered(piece.values, piece.keys, producer="soak", first_sequence=given)
        given += len(piece)
    sums = {
        "records": given,
        "seconds": time.monotonic() - begun,
        "waited_seconds": waited,
    }
    feed.said.write_text(json.dumps(sums), encoding="utf-8")


def _pieces(batches: Iterator[SimulatedBatch], feed: Feed) -> Iterator[SimulatedBatch]:
    size = max(1, int(feed.rate / _PIECES_PER_SECOND)) if feed.count is None else 100_000
    for batch in batches:
        for first in range(0, len(batch), size):
            yield batch[first : first + size]


def _not_too_far(topic: LocalTopic, feed: Feed, enough: Event) -> float:
    """Waits while the job is too far behind, a moment at most; for how many seconds.

    The job says how far it is now and then only, and never while nothing comes.
    """
    begun = time.monotonic()
    while (
        not enough.is_set()
        and time.monotonic() - begun < _WAIT_SECONDS_MAX
        and _unread(topic) > feed.rate * feed.lag_seconds_max
    ):
        enough.wait(0.1)
    return time.monotonic() - begun


def _unread(topic: LocalTopic) -> int:
    readers = list(topic.readers().values())
    reached = [min(offsets) for offsets in zip(*readers, strict=True)] or topic.begin_offsets()
    return sum(topic.end_offsets()) - sum(reached)
