"""What any topic that a job reads must do, as tests: a subclass says how to reach one.

Each test begins with a topic of `PARTITIONS` partitions in which nothing is: let a fixture of the
subclass make it. What is appended by numbers is tried in `log_conformance.py`. This module needs
pytest; the rest of Headrace does not.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar

import pytest

from headrace.storage.contract import RECORDS, Topic
from headrace.testing.topic_reading import arrival_us, by_partition, first_at, pairs, records, soon
from headrace.values.errors import TopicRefused

PARTITIONS = 2
_FAR_US = 4_102_444_800_000_000
_GROWING_SECONDS_MAX = 60.0
# Empty is not null, bytes need not be text, and one key comes again with a delete.
_KEYS = (b"k", None, b"", b"\x00\xff", b"k")
_VALUES = (b"{}", b"", None, b"\xff\x00", None)


class TopicConformance(ABC):
    """The tests of a topic; subclasses say how to reach it.

    `keeps_for_readers`: the log forgets nothing that a registered reader has not taken.
    """

    keeps_for_readers: ClassVar[bool] = False

    @abstractmethod
    def make(self) -> Topic:
        """A new handle to the one topic, as another process would have it."""

    @abstractmethod
    def append(
        self,
        partition: int,
        values: Sequence[bytes | None],
        keys: Sequence[bytes | None] | None = None,
    ) -> None:
        """Appends records, without `keys` keyless, in order; they arrive later than those before.

        A null value is a delete.
        """

    def append_stamped(self, partition: int, value: bytes, stamp_us: int) -> bool:
        """Appends a record with a timestamp of its own; False where records have none."""
        return False

    def forget_oldest(self) -> bool:
        """Lets the log forget, as retention does, but not all of it; False where it never does."""
        return False

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
        wanted = by_partition(whole.records.to_pylist(), PARTITIONS)
        assert [[r["value"] for r in rows] for rows in wanted] == [_values(0), _values(1)]
        assert topic.wait(begin, 10.0)
        found, at = [], begin
        while at != end:
            part = topic.fetch(at, end, records_max=3)
            assert part.next_offsets != at
            found += part.records.to_pylist()
            at = part.next_offsets
        assert by_partition(found, PARTITIONS) == wanted

    def test_a_time_gives_the_first_record_that_is_not_older(self) -> None:
        self._fill()
        topic = self.make()
        rows, end = records(topic), topic.end_offsets()
        arrivals_us = [arrival_us(row) for row in rows]
        for time_us in {0, *arrivals_us, *(at_us + 1 for at_us in arrivals_us)}:
            assert topic.offset_at(time_us) == first_at(rows, end, time_us)
        assert topic.offset_at(_FAR_US) == end

    def test_keys_and_values_come_back_as_they_were(self) -> None:
        for partition in range(PARTITIONS):
            self.append(partition, _VALUES, _KEYS)
        topic = self.make()
        rows = records(topic)
        assert rows == records(self.make()), "read again it is the same"
        for found in by_partition(rows, PARTITIONS):
            assert pairs(found) == list(zip(_KEYS, _VALUES, strict=True))

    def test_an_arrival_is_the_logs_own_or_the_records(self) -> None:
        """Where the log noted none, the job bounds it: the timestamp comes as it is."""
        now_us = int(time.time() * 1e6) // 1000 * 1000
        stamps_us = [now_us + minutes * 60_000_000 for minutes in (-60, 30, -30)]
        for stamp_us in stamps_us:
            if not self.append_stamped(1, b"{}", stamp_us):
                pytest.skip("records have no timestamps of their own here")
        topic = self.make()
        rows, ends = records(topic), topic.end_offsets()
        arrivals_us = [arrival_us(row) for row in rows]
        if topic.arrival_fixed:
            assert not set(arrivals_us) & set(stamps_us), "the log itself notes them"
        else:
            assert arrivals_us == stamps_us
        assert records(self.make()) == rows, "read again, they are the same"
        for time_us in {*stamps_us, *arrivals_us}:
            assert topic.offset_at(time_us) == first_at(rows, ends, time_us)

    def test_what_is_forgotten_is_refused_and_the_rest_is_there(self) -> None:
        """A reader that comes too late must stop, not go on behind a gap."""
        self._fill()
        topic = self.make()
        begin, end, held = topic.begin_offsets(), topic.end_offsets(), records(topic)
        if not self.forget_oldest():
            pytest.skip("this topic forgets nothing")
        for reader in (topic, self.make()):
            soon(lambda read=reader: read.begin_offsets() != begin, True)  # type: ignore[misc]
            first = reader.begin_offsets()
            assert reader.end_offsets() == end and first != end
            with pytest.raises(TopicRefused):
                reader.fetch(begin, end, records_max=1 << 30)
            assert records(reader) == [r for r in held if r["offset"] >= first[r["partition"]]]
            assert reader.offset_at(0) == first

    def test_a_reader_says_what_it_still_needs(self) -> None:
        """Said again, sooner or later in the log: a job may go back, and two may read."""
        self._fill()
        topic = self.make()
        begin, end, held = topic.begin_offsets(), topic.end_offsets(), records(topic)
        for reader, offsets in (("a", begin), ("b", end), ("a", end), ("a", begin)):
            topic.register_reader(reader, offsets)
        assert records(topic) == held
        if not self.keeps_for_readers:
            return
        assert self.forget_oldest(), "who keeps something for readers forgets the rest"
        assert records(self.make()) == held, "a needs all of it"
        self.make().register_reader("a", end)
        self.forget_oldest()
        assert self.make().begin_offsets() != begin

    def test_a_closed_topic_reads_on_when_it_is_asked(self) -> None:
        self._fill()
        topic, other = self.make(), self.make()
        held = records(topic)
        for _ in range(2):
            topic.close()
        assert records(topic) == records(other) == held
        topic.close()

    def test_a_wait_ends_with_the_record_that_comes(self) -> None:
        """In any partition, and not before: a job waits so for its next epoch."""
        self._fill()
        topic = self.make()
        for partition in range(PARTITIONS):
            ends = topic.end_offsets()
            with ThreadPoolExecutor(1) as thread:
                waiting = thread.submit(topic.wait, ends, 30.0)
                with pytest.raises(TimeoutError):
                    waiting.result(0.2)
                self.append(partition, [b"new"])
                assert waiting.result()
            soon(lambda before=ends: topic.end_offsets() != before, True)  # type: ignore[misc]

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
