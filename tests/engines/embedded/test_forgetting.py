"""What is forgotten once nobody can ask for it: nothing else, and without looking in vain."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

import headrace.testing
from headrace.testing.driver import Driver
from tests.views.cases import START, thing, things

WITHIN, LATENESS, PARTITIONS = 20, 5, 3


class Memory:
    """What a dedupe must remember: each key's last time, unless it lies too far back."""

    def __init__(self) -> None:
        self._times = dict[tuple[int, int], float]()
        self._greatest = dict[int, float]()

    def take(self, partition: int, n: int, second: float) -> None:
        key = partition, n
        self._times[key] = max(second, self._times.get(key, second))
        self._greatest[partition] = max(second, self._greatest.get(partition, second))

    def held(self) -> list[tuple[int, float]]:
        return sorted(
            (partition, second)
            for (partition, _), second in self._times.items()
            if second >= self._greatest[partition] - LATENESS - WITHIN
        )


def remembered(t: Driver) -> list[tuple[int, float]]:
    [runner] = t.runners.values()
    sql = 'select _partition, make_timestamp(_greatest) from state."firsts:seen0"'
    return sorted((p, (time - START).total_seconds()) for p, time in runner.store.rows(sql))


def deletes(t: Driver) -> int:
    """How many statements took something out of the memory so far."""
    [runner] = t.runners.values()
    sql = "select count(*) from duckdb_logs where message like 'delete from state.%seen0%'"
    return int(runner.store.rows(sql)[0][0])


@pytest.mark.parametrize("seed", range(4))
def test_a_dedupe_forgets_what_nothing_can_match_any_more(seed: int) -> None:
    chance, memory = random.Random(seed), Memory()
    app, source = things(partitions=PARTITIONS, lateness=f"{LATENESS} seconds")
    once = source.dedupe(by=("who", "n"), within=f"{WITHIN} seconds")
    app.table("firsts", once.by("who").agg(c="count(*)"))
    with headrace.testing.run(app, start=START) as t:
        [runner] = t.runners.values()
        runner.store.connection.execute("call enable_logging('QueryLog')")
        done = 0
        for epoch in range(40):
            # Some come long after, and some far behind all others.
            for partition in chance.sample(range(PARTITIONS), chance.randint(1, PARTITIONS)):
                second = epoch * 3 + chance.choice([0, 0, 0, 2, 9, -LATENESS, -40])
                n = chance.randrange(6)
                t.send("things", [thing(second, n=n)], partition=partition)
                memory.take(partition, n, second)
            t.epoch()
            assert remembered(t) == memory.held(), epoch
            # One for the keys that came again, and one for all that is too old.
            assert deletes(t) - done <= 2
            done = deletes(t)
        t.verify()


def test_a_dedupe_looks_for_nothing_where_no_time_went_on() -> None:
    app, source = things(partitions=PARTITIONS)
    once = source.dedupe(by=("who", "n"), within=f"{WITHIN} seconds")
    app.table("firsts", once.by("who").agg(c="count(*)"))
    with headrace.testing.run(app, start=START) as t:
        [runner] = t.runners.values()
        for partition in range(PARTITIONS):
            t.send("things", [thing(100)], partition=partition)
        t.epoch()
        runner.store.connection.execute("call enable_logging('QueryLog')")
        t.send("things", [thing(100, n=2)], partition=1)
        t.epoch()
        assert deletes(t) == 1
        t.send("things", [thing(150, n=2)], partition=1)
        t.epoch()
        assert deletes(t) == 3
        assert remembered(t) == [(0, 100.0), (1, 150.0), (2, 100.0)]


def test_who_was_late_is_looked_for_only_where_more_is_gone() -> None:
    app, source = things()
    app.table("firsts", source.dedupe(by=("who", "n")).tumble("10 seconds").agg(c="count(*)"))
    app.lake("every", source)
    with headrace.testing.run(app, start=START) as t:
        t.send("things", [thing(second, n=second) for second in (60, 1, 2, 3)])
        t.epoch()
        [runner] = t.runners.values()
        ledger, store = runner.engine.ledger, runner.store

        def late() -> Sequence[int]:
            rows = store.rows('select "offset" from meta.late order by 1')
            return [offset for (offset,) in rows]

        assert late() == [1, 2, 3]
        ledger.forget_late("things", [2])
        assert late() == [2, 3]
        with store.transaction() as connection:
            connection.execute("insert into meta.late values (1, 'firsts', 0, 1)")
        ledger.forget_late("things", [2])
        assert late() == [1, 2, 3], "nothing more is gone: nobody looks"
        ledger.forget_late("things", [3])
        assert late() == [3]
