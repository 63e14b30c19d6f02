"""Topics that gain partitions, under a running job and under a stopped one.

A local topic never grows: here it shows only some of its partitions at first.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import headrace as hr
import headrace.testing
from headrace.engines.embedded.epochs import sources
from headrace.engines.embedded.epochs.growing import grow, reached
from headrace.engines.embedded.epochs.recall import recall
from headrace.engines.embedded.runner import JobRunner
from headrace.storage.contract import Fetched
from headrace.storage.systems import Systems
from headrace.storage.topics.log import LocalTopic
from headrace.testing.driver import Driver
from headrace.values.errors import StateRefused, TopicRefused

START = datetime(2026, 1, 1)
THERE = 4


class Growing:
    """A topic of `THERE` partitions of which `shown` can be seen."""

    shown = 1
    arrival_fixed = True

    def __init__(self, topic: LocalTopic) -> None:
        self._topic = topic
        self.name, self.identity = topic.name, topic.identity
        self.partitions = Growing.shown

    def begin_offsets(self) -> list[int]:
        return self._topic.begin_offsets()[: self.partitions]

    def end_offsets(self) -> list[int]:
        return self._topic.end_offsets()[: self.partitions]

    def grown(self) -> int | None:
        return Growing.shown if Growing.shown > self.partitions else None

    def grow(self) -> None:
        self.partitions = Growing.shown

    def fetch(
        self, start: Sequence[int], stop: Sequence[int] | None = None, *, records_max: int
    ) -> Fetched:
        assert len(start) == self.partitions and (stop is None or len(stop) == len(start))
        hidden = [0] * (THERE - len(start))
        ends = self.end_offsets() if stop is None else list(stop)
        found = self._topic.fetch([*start, *hidden], [*ends, *hidden], records_max=records_max)
        return Fetched(found.records, found.next_offsets[: len(start)])

    def register_reader(self, reader: str, offsets: Sequence[int]) -> None:
        assert len(offsets) <= self.partitions

    def close(self) -> None: ...


@pytest.fixture
def growing(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = Systems.topic
    monkeypatch.setattr(Systems, "topic", lambda *given: Growing(opened(*given)))
    monkeypatch.setattr(sources, "_AHEAD_RECORDS", 0)


class Tick(hr.Event):
    at: datetime
    name: str
    n: int


def make(lake: bool, dedupe: bool = False) -> hr.App:
    app = hr.App("t")
    ticks = app.source(
        Tick, topic="ticks", key="name", time="at", partitions=THERE, lateness="5 seconds"
    )
    read = ticks.dedupe(by="name") if dedupe else ticks
    app.table("total", read.by("name").agg(n="count(*)", ns="list(n)"))
    app.table("counts", ticks.tumble("10 seconds").by("name").agg(n="count(*)"))
    app.table("visits", ticks.session(gap="8 seconds").by("name").agg(n="count(*)"))
    if lake:
        app.lake("all_ticks", ticks)
    return app


_STEP = st.one_of(
    st.lists(st.tuples(st.integers(0, 60), st.sampled_from("ab")), min_size=1, max_size=5),
    st.sampled_from(["epoch", "grow", "stop and grow", "restart", "fold"]),
)


def send(t: Driver, number: int, second: int, name: str) -> int:
    """Sends one event to a partition that can be seen; which one."""
    partition = (number * 7 + second) % Growing.shown
    at = (START + timedelta(seconds=second)).isoformat() + "Z"
    t.send("ticks", [{"at": at, "name": name, "n": number}], partition=partition)
    return partition


def take_in(t: Driver) -> None:
    """One small epoch, as a running job does it; made again it is the same."""
    runner = t.runners["t"]
    grow(runner.engine)
    committed = runner.engine.epoch(t.clock.now_us(), 3, alongside=runner.note)
    if committed is None:
        return
    runner.handed_over(committed)
    again = recall(runner.engine, committed.epoch)
    assert again.positions == committed.positions
    part, same = committed.sources["ticks"], again.sources["ticks"]
    assert same.events.equals(part.events) and same.exempt == part.exempt


@pytest.mark.parametrize("lake", [False, True])
@settings(deadline=None, max_examples=25, suppress_health_check=list(HealthCheck))
@given(st.lists(_STEP, max_size=12))
def test_whenever_it_grows_every_row_is_what_the_log_says(
    growing: None, lake: bool, steps: list[Any]
) -> None:
    Growing.shown = 1
    sent: list[tuple[str, int, int]] = []
    with headrace.testing.run(make(lake), start=START.replace(tzinfo=UTC)) as t:
        for step in steps:
            if isinstance(step, list):
                for second, name in step:
                    send(t, len(sent), second, name)
                    sent.append((name, second, len(sent)))
            elif step == "restart":
                t.restart()
            elif step == "fold":
                t.runners["t"].fold()
            elif step == "epoch":
                take_in(t)
            elif Growing.shown < THERE and step == "grow":
                Growing.shown += 1
                grow(t.runners["t"].engine)
            elif Growing.shown < THERE:
                t.close()
                Growing.shown += 1
                t.open()
        assert t.counts("ticks").get("accepted", 0) == len(sent)
        totals = {r["name"]: sorted(r["ns"]) for r in t.rows("total")}
        assert totals == {
            name: [n for who, _, n in sent if who == name] for name in {who for who, *_ in sent}
        }
        t.verify()
        t.recompute()
        t.verify()
        counted: dict[tuple[str, int], int] = {}
        closed = t.watermark("ticks") or datetime.min
        for name, second, _ in sent:
            window = second // 10 * 10
            counted[name, window] = counted.get((name, window), 0) + 1
        for row in t.rows("counts"):
            window = int((row["window_start"] - START).total_seconds())
            if row["window_end"] <= closed:
                assert counted[row["name"], window] == row["n"]


def test_a_new_partition_holds_nobody_back_before_it_speaks(growing: None) -> None:
    Growing.shown = 2
    with headrace.testing.run(make(False), start=START.replace(tzinfo=UTC)) as t:
        for partition in (0, 1):
            at = (START + timedelta(seconds=30)).isoformat() + "Z"
            t.send("ticks", [{"at": at, "name": "a", "n": 1}], partition=partition)
        take_in(t)
        assert t.watermark("ticks") == START + timedelta(seconds=25)
        Growing.shown = 3
        for partition in (0, 1):
            at = (START + timedelta(seconds=50)).isoformat() + "Z"
            t.send("ticks", [{"at": at, "name": "a", "n": 1}], partition=partition)
        take_in(t)
        assert t.watermark("ticks") == START + timedelta(seconds=45)
        # Its first events are older than what was closed without it; from here on it counts.
        for partition, second in ((0, 90), (1, 90), (2, 31), (2, 60)):
            at = (START + timedelta(seconds=second)).isoformat() + "Z"
            t.send("ticks", [{"at": at, "name": "a", "n": 1}], partition=partition)
        while t.epoch():
            pass
        assert t.watermark("ticks") == START + timedelta(seconds=55)
        assert t.late("counts") == 1
        t.verify()


def test_what_looks_for_duplicates_stops_in_words(growing: None) -> None:
    Growing.shown = 2
    with headrace.testing.run(make(True, dedupe=True), start=START.replace(tzinfo=UTC)) as t:
        for number in range(6):
            send(t, number, number, "a")
        take_in(t)
        Growing.shown = 3
        words = r'"ticks" has 3 partitions now, not 2.*total.*duplicates(?s:.*)headrace state reset'
        with pytest.raises(StateRefused, match=words):
            take_in(t)
        t.close()
        with pytest.raises(StateRefused, match=words):
            t.open()


def test_no_caught_up_run_waits_for_partitions_that_came_after_it_began(growing: None) -> None:
    Growing.shown = 1
    with headrace.testing.run(make(False), start=START.replace(tzinfo=UTC)) as t:
        runner = t.runners["t"]
        for number in range(4):
            send(t, number, number, "a")
        ends = {"ticks": runner.engine.readers["ticks"].topic.end_offsets()}
        Growing.shown = 3
        send(t, 8, 1, "a")
        send(t, 9, 1, "a")
        while runner._step(ends):
            pass
        assert reached(runner.engine, ends)
        position = runner.engine.readers["ticks"].position
        assert position.offsets == [4, 0, 0]
        assert t.counts("ticks")["accepted"] == 6


def test_a_partition_that_was_read_is_gone(growing: None) -> None:
    Growing.shown = 2
    with headrace.testing.run(make(lake=False), start=START.replace(tzinfo=UTC)) as t:
        send(t, 0, 1, "a")
        assert t.counts("ticks")["accepted"] == 1
        [runner] = t.runners.values()
        t.close()
        Growing.shown = 1
        gone = 'Partition 1 of topic "ticks" was read, and is not there any more'
        with pytest.raises(TopicRefused, match=gone):
            t.open()
        with (
            pytest.raises(TopicRefused, match=gone),
            JobRunner(runner.job, t._settings, clock=t.clock, purpose="seek"),
        ):
            pass
        Growing.shown = 2
        t.open()
