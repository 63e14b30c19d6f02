"""An event's time begins when it is due: who waits behind a stalled append is not forgotten."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from benchmarks.measure.latency import feed_of
from benchmarks.measure.steady import Feed, latency
from benchmarks.sizes import LIVE_PACE
from headrace.values.stages import Stages

RATE, EVENTS, STALL_SECONDS = 1_000, 600, 0.3


class Stalling:
    """A topic whose third append takes long."""

    partitions = 3

    def __init__(self) -> None:
        self.appends = 0

    def append_numbered(self, values, keys, *, producer: str, first_sequence: int) -> None:
        self.appends += 1
        if self.appends == 3:
            time.sleep(STALL_SECONDS)


def test_who_waits_for_a_stalled_append_has_waited() -> None:
    values = pa.array([b'{"event_type":"page_view"}', b'{"event_type":"click"}'] * (EVENTS // 2))
    feed = Feed(Stalling(), values, values, RATE, Stages())
    feed.run()
    # Whoever asks sees each append at once.
    polls = [(after, after, int(feed.views[end - 1])) for _, after, _, end in feed.appends]
    found = latency(feed, polls, warm_seconds=0.0)
    assert found["events"] == EVENTS
    assert found["max_ms"] >= 0.9 * STALL_SECONDS * 1000
    # Of 300 page views the half was due meanwhile, and waited half as long on the average; from
    # their appends on only a few have.
    assert found["p99_ms"] >= 0.8 * STALL_SECONDS * 1000
    assert found["append_p50_ms"] < STALL_SECONDS * 1000 / 2


def test_event_time_passes_faster_but_not_into_the_future_and_nothing_is_late() -> None:
    seconds = 5
    feed = feed_of(Stalling(), RATE, seconds, Stages())
    texts = [json.loads(value)["event_time"] for value in feed.values.to_pylist()]
    times = [datetime.fromisoformat(text) for text in texts]
    newest, behind = times[0], timedelta(0)
    for at in times:
        newest, behind = max(newest, at), max(behind, newest - at)
    assert len(times) == RATE * seconds
    assert (newest - times[0]).total_seconds() == pytest.approx(LIVE_PACE * seconds, rel=0.3)
    assert newest < datetime.now(UTC)
    assert behind < timedelta(minutes=2)
