"""What a topic that may be appended to must do, as tests: each numbered row lands once.

`headrace ingest` and `simulate` begin again from the start of their input after any crash, cut it
into other batches, and may run twice at once: the numbers alone decide what is added.
"""

from __future__ import annotations

import random
import threading
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pytest

from headrace.storage.contract import Log
from headrace.storage.topics.writer import Appended
from headrace.testing.asked import killed_at, once_back
from headrace.testing.topic_conformance import PARTITIONS, TopicConformance
from headrace.testing.topic_reading import Record, by_partition, pairs, records, soon

PRODUCER, OTHER = "file é/1", "file"
_ROWS, _BESIDE = 60, b"of another producer"


def record(number: int) -> Record:
    """Key and value of a numbered row, no two alike: keyless ones, deletes, several of a key."""
    if number % 11 == 5:
        return b"gone_%d" % number, None
    return None if number % 3 == 0 else b"key_%d" % (number % 7), b'{"n":%d}' % number


def append(log: Log, first: int, count: int, producer: str = PRODUCER, **named: Any) -> Appended:
    """Appends the rows numbered from `first`."""
    rows = [record(number) for number in range(first, first + count)]
    keys, values = (pa.array([row[n] for row in rows], pa.binary()) for n in (0, 1))
    return log.append_numbered(values, keys, producer=producer, first_sequence=first, **named)


class LogConformance(TopicConformance):
    """The tests of a log, with those of any topic.

    `points`: names of kill points that an append passes; with `appender`, a process is killed at
    each of them. `seed` is that of the cuts.
    """

    points: ClassVar[Sequence[str]] = ()
    seed: ClassVar[int] = 1

    @abstractmethod
    def make(self) -> Log:
        """A new handle to the one topic, as another process would have it."""

    def appender(self, first: int, count: int) -> Sequence[str] | None:
        """The command of a process that calls `append(log, first, count)`."""
        return None

    def test_the_same_rows_give_the_same_log_however_they_are_cut(self) -> None:
        log, dice, at = self.make(), random.Random(self.seed), 0
        while at < _ROWS:
            first = max(0, at - dice.randrange(8))
            count = min(dice.randrange(1, 16), _ROWS - first)
            appended = append(log, first, count)
            new = max(0, first + count - at)
            assert (appended.skipped, appended.rows) == (count - new, new)
            assert appended.duplicate == (new == 0)
            at += new
            if dice.random() < 0.3:
                log = self.make()
                log.append_numbered(pa.array([_BESIDE]), producer=OTHER, first_sequence=at)
        self._check_log(_ROWS)

    def test_what_is_appended_says_where_it_is(self) -> None:
        log = self.make()
        append(log, 0, 9, OTHER)
        appended = append(log, 0, 20)
        rows = [row for p in range(PARTITIONS) for row in self._span(log, appended, p)]
        assert sorted(rows, key=repr) == sorted(map(record, range(20)), key=repr)
        again = append(log, 0, 20)
        assert (again.rows, again.skipped, again.duplicate) == (0, 20, True)

    def test_a_row_goes_to_the_partition_that_is_named(self) -> None:
        chosen = np.array([1, 1, 0, 1])
        appended = append(self.make(), 0, 4, partition=chosen)
        assert appended.counts == (1, 3)
        assert self._log() == [[record(2)], [record(0), record(1), record(3)]]

    def test_what_a_producer_appended_last_is_remembered(self) -> None:
        log = self.make()
        assert log.producer(PRODUCER) is None and log.producers() == {}
        note = {"place": {"bytes": 2**53 + 1, "name": "é"}, "done": False}
        first = append(log, 0, 5, note=note)
        append(log, 0, 2, OTHER)
        self._expect(PRODUCER, 4, note)
        for handle in (log, self.make()):
            state = handle.producer(PRODUCER)
            assert state is not None and state.arrival_us == first.arrival_us
            soon(lambda at=handle: sorted(at.producers()), [OTHER, PRODUCER])  # type: ignore[misc]
        append(log, 2, 3, note={"done": True})
        self._expect(PRODUCER, 4, note)  # nothing was new
        append(log, 5, 0, note={"done": True})
        self._expect(PRODUCER, 4, {"done": True})
        append(log, 4, 0, note={"done": False})
        self._expect(PRODUCER, 4, {"done": True})  # this row was there before
        append(self.make(), 9, 3)
        self._expect(PRODUCER, 11, None)
        self._expect(OTHER, 1, None)
        assert log.producer("nobody") is None

    def test_two_of_one_producer_at_once_add_each_row_once(self) -> None:
        problems = list[Exception]()

        def run() -> None:
            log = self.make()
            try:
                for first in range(0, _ROWS, 10):
                    once_back(lambda first=first: append(log, first, 10))  # type: ignore[misc]
            except Exception as problem:
                problems.append(problem)

        threads = [threading.Thread(target=run) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not problems
        self._expect(PRODUCER, _ROWS - 1, None)
        self._check_log(_ROWS)

    def test_an_appender_killed_at_any_point_goes_on(self) -> None:
        command = self.appender(0, 1)
        if command is None:
            pytest.skip(f"{type(self).__name__} has no appender")
        assert self.points, "name the kill points that an append passes"
        taken = 0
        for point in self.points:
            command = self.appender(taken, 5)
            assert command is not None
            killed_at(point, command)
            appended = append(self.make(), taken, 5)
            assert appended.skipped in (0, 5), f"{point}: a part of it was there"
            taken += 5
            self._expect(PRODUCER, taken - 1, None)
        self._check_log(taken)

    def test_a_topic_made_again_knows_no_producer(self) -> None:
        append(self.make(), 0, 5)
        if not self.make_again():
            pytest.skip("nobody can make this topic again")
        log = self.make()
        assert log.producers() == {}
        assert append(log, 0, 5).rows == 5
        self._check_log(5)

    def _expect(self, producer: str, sequence: int, note: dict[str, Any] | None) -> None:
        """Asserts what everybody sees of a producer."""

        def seen() -> tuple[int, Any]:
            state = self.make().producer(producer)
            return (-1, None) if state is None else (state.sequence, state.note)

        soon(seen, (sequence, note))

    def _span(self, log: Log, appended: Appended, partition: int) -> list[Record]:
        """The records at the offsets of one partition that `appended` names."""
        if not appended.counts[partition]:
            return []
        start = appended.base[partition]
        stop = start + appended.counts[partition] + appended.markers
        soon(lambda: log.end_offsets()[partition] >= stop, True)
        end = log.end_offsets()
        begin = [start if p == partition else at for p, at in enumerate(end)]
        end[partition] = stop
        return pairs(records(log, begin, end))

    def _check_log(self, count: int) -> None:
        """Asserts that the rows up to `count` are there, where they belong, in order, and no more.

        All of one key stand in one partition, keyless ones where their number says.
        """
        found = [[pair for pair in listed if pair[1] != _BESIDE] for listed in self._log()]
        of_key = {key: place for place, listed in enumerate(found) for key, _ in listed}
        wanted: list[list[Record]] = [[] for _ in range(PARTITIONS)]
        for number in range(count):
            key, value = record(number)
            place = number % PARTITIONS if key is None else of_key.get(key, 0)
            wanted[place].append((key, value))
        assert found == wanted

    def _log(self) -> list[list[Record]]:
        """Everything by partition, read up to a last record in each: what is before is decided."""
        log, last = self.make(), pa.array([b"end"] * PARTITIONS)
        everywhere = np.arange(PARTITIONS)
        log.append_numbered(last, producer="end", first_sequence=0, partition=everywhere)

        def found() -> list[list[Record]]:
            return [pairs(rows) for rows in by_partition(records(log), PARTITIONS)]

        ends: list[list[Record]] = [[(None, b"end")]] * PARTITIONS
        soon(lambda: [listed[-1:] for listed in found()], ends)
        return [listed[:-1] for listed in found()]
