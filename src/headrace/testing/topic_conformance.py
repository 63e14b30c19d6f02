"""What any topic that a job reads must do, as tests: a subclass says how to reach one.

Each test begins with a topic of `PARTITIONS` partitions in which nothing is: let a fixture of the
subclass make it. This module needs pytest; the rest of Headrace does not.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence

import pytest

from headrace.storage.contract import RECORDS, Topic
from headrace.values.errors import TopicRefused

PARTITIONS = 2
_FAR_US = 4_102_444_800_000_000
_GROWING_SECONDS_MAX = 60.0


class TopicConformance(ABC):
    """The tests of a topic; subclasses say how to reach it."""

    @abstractmethod
    def make(self) -> Topic:
        """A new handle to the one topic, as another process would have it."""

    @abstractmethod
    def append(self, partition: int, values: Sequence[bytes]) -> None:
        """Appends records without a key, in this order; they arrive later than those before."""

    def make_again(self) -> bool:
        """Deletes the topic and makes it again, empty; False where nobody can."""
        return False

    def add_partitions(self, partitions: int) -> bool:
        """Gives the topic so many partitions, more than before; False where it never grows."""
        return False

    def test_an_empty_topic_begins_where_it_ends(self) -> None:
        topic = self.make()
        ends = topic.end_offsets()
        assert topic.begin_offsets() == ends and len(ends) == topic.partitions == PARTITIONS
        fetched = topic.fetch(ends, records_max=10)
        assert len(fetched.records) == 0 and fetched.next_offsets == ends
        assert not topic.wait(ends, 0.01)

    def test_any_cut_gives_the_same_records(self) -> None:
        self._fill()
        topic = self.make()
        begin, end = topic.begin_offsets(), topic.end_offsets()
        whole = topic.fetch(begin, end, records_max=1 << 30)
        assert whole.records.schema.equals(RECORDS) and whole.next_offsets == end
        wanted = _by_partition(whole.records.to_pylist())
        assert [[r["value"] for r in rows] for rows in wanted] == [_values(0), _values(1)]
        assert topic.wait(begin, 10.0)
        found, at = [], begin
        while at != end:
            part = topic.fetch(at, end, records_max=3)
            assert part.next_offsets != at
            found += part.records.to_pylist()
            at = part.next_offsets
        assert _by_partition(found) == wanted

    def test_a_time_gives_the_first_record_that_is_not_older(self) -> None:
        self._fill()
        topic = self.make()
        begin, end = topic.begin_offsets(), topic.end_offsets()
        records = topic.fetch(begin, end, records_max=1 << 30).records
        arrivals = records.column("arrival_time").cast("int64").to_pylist()
        places = list(
            zip(records.column("partition"), records.column("offset"), arrivals, strict=True)
        )
        for time_us in {0, *arrivals}:
            first = list(end)
            for partition, offset, arrived_us in places:
                if arrived_us >= time_us:
                    p = partition.as_py()
                    first[p] = min(first[p], offset.as_py())
            assert topic.offset_at(time_us) == first
        assert topic.offset_at(_FAR_US) == end

    def test_new_partitions_are_taken_in_when_it_is_asked_for(self) -> None:
        self._fill()
        topic = self.make()
        begin, ends = topic.begin_offsets(), topic.end_offsets()
        held = topic.fetch(begin, ends, records_max=1 << 30).records
        assert topic.grown() is None
        if not self.add_partitions(PARTITIONS + 2):
            topic.grow()
            assert topic.grown() is None and topic.partitions == PARTITIONS
            pytest.skip("this topic never grows")
        deadline = time.monotonic() + _GROWING_SECONDS_MAX
        while topic.grown() is None:
            assert time.monotonic() < deadline, "new partitions were not noticed"
            time.sleep(0.05)
        assert topic.grown() == PARTITIONS + 2
        assert topic.partitions == PARTITIONS and topic.end_offsets() == ends
        assert topic.fetch(begin, ends, records_max=1 << 30).records.equals(held)
        topic.grow()
        assert topic.grown() is None and topic.partitions == PARTITIONS + 2
        assert topic.end_offsets() == [*ends, 0, 0]
        self.append(PARTITIONS + 1, [b"new"])
        assert topic.wait([*ends, 0, 0], 10.0)
        fetched = topic.fetch([*begin, 0, 0], [*ends, 0, 1], records_max=1 << 30)
        assert len(fetched.records) == len(held) + 1
        assert fetched.records.column("value").to_pylist().count(b"new") == 1
        assert self.make().partitions == PARTITIONS + 2

    def test_a_topic_made_again_is_another(self) -> None:
        self._fill()
        topic = self.make()
        begin = topic.begin_offsets()
        if not self.make_again():
            pytest.skip("nobody can make this topic again")
        self._fill()
        assert self.make().identity != topic.identity
        with pytest.raises(TopicRefused):
            topic.fetch(begin, records_max=10)

    def _fill(self) -> None:
        for piece in range(3):
            for partition in range(PARTITIONS):
                self.append(partition, _values(partition)[piece * 5 : piece * 5 + 5])


def _values(partition: int) -> list[bytes]:
    return [b'{"p": %d, "n": %d}' % (partition, n) for n in range(15)]


def _by_partition(rows: list[dict[str, object]]) -> list[list[dict[str, object]]]:
    """The records of each partition, in the order in which they were given."""
    return [[r for r in rows if r["partition"] == p] for p in range(PARTITIONS)]
