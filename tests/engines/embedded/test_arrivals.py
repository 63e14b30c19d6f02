"""Arrival times hang on the log and the recorded epochs alone, whoever reads the log, and when.

The log here brings its own timestamps, many of them in the future, as one in Kafka may.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import headrace as hr
import headrace.testing
from headrace.engines.embedded.epochs import sources
from headrace.engines.embedded.epochs.recall import recall
from headrace.storage.contract import RECORDS, Fetched
from headrace.storage.topics.log import LocalTopic
from headrace.testing.driver import Driver
from headrace.values.clock import instant_text

START = datetime(2026, 1, 1)
BOUND = timedelta(minutes=10)
# By offset: how far from START a record's own timestamp lies, in minutes. None: it has none.
STAMPS = [-5, 0, 3, 45, 200, None, 12, 90]


def stamp(offset: int) -> datetime:
    minutes = STAMPS[offset % len(STAMPS)]
    return datetime.max if minutes is None else START + timedelta(minutes=minutes)


@pytest.fixture
def stamped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Local topics whose records bring their own timestamps; decoding ahead is never too early."""
    fetch = LocalTopic.fetch

    def with_stamps(self: LocalTopic, *args: Any, **options: Any) -> Fetched:
        found = fetch(self, *args, **options)
        offsets = found.records.column("offset").to_pylist()
        times = pa.array(np.array([stamp(o) for o in offsets], "M8[us]"), pa.timestamp("us"))
        at = RECORDS.get_field_index("arrival_time")
        records = found.records.set_column(at, RECORDS.field(at), times)
        return Fetched(records, found.next_offsets)

    monkeypatch.setattr(LocalTopic, "fetch", with_stamps)
    monkeypatch.setattr(LocalTopic, "arrival_fixed", False)
    monkeypatch.setattr(sources, "_AHEAD_RECORDS", 0)


class Tick(hr.Event):
    at: datetime
    n: int


def make(lake: bool) -> hr.App:
    app = hr.App("t")
    ticks = app.source(
        Tick, topic="ticks", time="at", partitions=2, lateness="1 hour", ahead="10 minutes"
    )
    app.table("total", ticks.agg(n="count(*)", ns="list(n)"))
    app.table("counts", ticks.tumble("10 minutes").agg(n="count(*)"))
    if lake:
        app.lake("all_ticks", ticks)
    return app


_SENT = st.tuples(st.integers(0, 1), st.integers(-20, 240))
_STEPS = st.lists(st.tuples(st.lists(_SENT, max_size=6), st.integers(0, 40)), max_size=8)


def play(t: Driver, steps: list[tuple[list[tuple[int, int]], int]]) -> dict[Any, datetime]:
    """Sends and reads in small epochs; each is recalled an hour later. Returns the event times."""
    sent: dict[Any, datetime] = {}
    ends = [0, 0]
    for records, minutes in steps:
        for partition, minute in records:
            at = START + timedelta(minutes=minute)
            event = {"at": at.isoformat() + "Z", "n": minute}
            t.send("ticks", [event], partition=partition)
            sent[partition, ends[partition]] = at
            ends[partition] += 1
        runner = t.runners["t"]
        while (
            committed := runner.engine.epoch(t.clock.now_us(), 2, alongside=runner.note)
        ) is not None:
            runner.handed_over(committed)
            part = committed.sources["ticks"]
            t.advance(timedelta(seconds=20))
            again = recall(runner.engine, committed.epoch).sources["ticks"]
            assert again.records.equals(part.records)
            assert again.events.equals(part.events) and again.dead.equals(part.dead)
        t.advance(timedelta(minutes=minutes))
    return sent


def judged(t: Driver, sent: dict[Any, datetime]) -> tuple[dict[Any, datetime], set[Any]]:
    """Where every record arrived, and which ones came too far ahead: from the recorded epochs."""
    arrivals: dict[Any, datetime] = {}
    for partition, start, end, time in t.runners["t"].store.rows(
        'select r."partition", start_offset, end_offset, epoch_time '
        "from meta.ranges r join meta.epochs using (epoch)"
    ):
        for offset in range(start, end):
            arrivals[partition, offset] = min(stamp(offset), time)
    return arrivals, {k for k, at in sent.items() if at > arrivals[k] + BOUND}


@pytest.mark.parametrize("lake", [False, True])
@settings(
    deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(_STEPS)
def test_every_way_of_reading_gives_the_same_arrivals(
    stamped: None, lake: bool, steps: list[tuple[list[tuple[int, int]], int]]
) -> None:
    with headrace.testing.run(make(lake), start=START.replace(tzinfo=UTC)) as t:
        sent = play(t, steps)
        arrivals, ahead = judged(t, sent)
        assert arrivals.keys() == sent.keys()
        letters = {(d["partition"], d["offset"]): d["arrival_time"] for d in t.dead_letters()}
        assert letters == {k: arrivals[k] for k in ahead}
        records = t.query("select * from topic.ticks")
        assert {(r["partition"], r["offset"]): r["arrival_time"] for r in records} == arrivals
        if lake:
            rows = {(r["_partition"], r["_offset"]): r for r in t.rows("all_ticks")}
            assert {k: r["_arrival_time"] for k, r in rows.items()} == {
                k: at for k, at in arrivals.items() if k not in ahead
            }
        t.advance(timedelta(days=1))
        t.verify()
        # Joined epochs keep the time of the last: no verdict may hang on it.
        t.runners["t"].fold()
        t.restart()
        t.verify()


def test_a_log_that_notes_the_time_itself_is_taken_at_its_word() -> None:
    """Also where the clock was set back since: the append time stands."""
    with headrace.testing.run(make(True), start=START.replace(tzinfo=UTC)) as t:
        t.send("ticks", [{"at": START.isoformat() + "Z", "n": 1}], partition=0)
        t.advance(timedelta(hours=-5))
        assert [r["_arrival_time"] for r in t.rows("all_ticks")] == [START]
        assert t.dead_letters() == []
        t.verify()


def test_joined_epochs_accept_nothing_that_was_refused(stamped: None) -> None:
    with headrace.testing.run(make(False), start=START.replace(tzinfo=UTC)) as t:
        for n in range(8):
            # Of those with a timestamp in the future, a minute later none comes too far ahead.
            at = t.clock.now_us() + BOUND // timedelta(microseconds=1) + 30_000_000
            event = {"at": instant_text(at), "n": n}
            t.send("ticks", [event, event], partition=0)
            t.epoch()
            t.advance(timedelta(minutes=1))
        refused = len(t.dead_letters())
        assert refused > 4
        runner = t.runners["t"]
        before = runner.store.rows("select count(*) from meta.epochs")
        runner.fold()
        assert runner.store.rows("select count(*) from meta.epochs")[0] < before[0]
        t.verify()
