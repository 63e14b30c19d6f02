"""Old segments go, by age and by size, but never one that a reader has not taken."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pyarrow as pa
import pytest

from headrace.storage.topics import head
from headrace.storage.topics.log import LocalTopic
from headrace.storage.topics.writer import Limits
from headrace.values.errors import DiskRefused, TopicRefused, UsageError
from tests.storage.topics.model import SMALL_SEGMENTS, Clock, read_all, segment_files

HOUR = 3_600_000_000


def filled(directory: Path, clock: Clock) -> LocalTopic:
    """A record an hour, five or so to a segment."""
    topic = LocalTopic.create(directory, "t", 1, limits=SMALL_SEGMENTS, clock=clock)
    for _ in range(30):
        clock.now_us += HOUR
        topic.append(pa.array([b"x" * 600]))
    assert len(segment_files(topic.path)) >= 5
    return topic


def test_by_age(tmp_path: Path) -> None:
    clock = Clock(0)
    topic = filled(tmp_path, clock)
    before = read_all(topic)
    done = topic.retain(age_us=10 * HOUR)
    assert done.segments > 0 and done.begin_offsets == topic.begin_offsets()
    left = read_all(topic)
    assert left == before[-len(left) :] and left[0][1] == topic.begin_offsets()[0]
    # Whole segments only: everything young enough is there, and less than a segment more.
    young = [record for record in before if record[4] >= clock.now_us - 10 * HOUR]
    assert len(young) <= len(left) <= len(young) + 6
    assert topic.retain(age_us=10 * HOUR).segments == 0
    with pytest.raises(TopicRefused, match="no longer has offset 0 of partition 0"):
        topic.read([0], records_max=1)
    assert topic.offset_at(0) == topic.begin_offsets()


def test_nothing_goes_before_the_disk_knows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the disk did not take the head, and it is tried again."""
    clock = Clock(0)
    topic = filled(tmp_path, clock)
    files, done = segment_files(topic.path), []

    def refused(descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(head, "sync_data", refused)
    for _ in range(2):
        with pytest.raises(DiskRefused):
            topic.retain(age_us=10 * HOUR)
        assert segment_files(topic.path) == files
    monkeypatch.setattr(head, "sync_data", done.append)
    assert topic.retain(age_us=10 * HOUR).segments > 0
    assert len(done) == 1 and len(segment_files(topic.path)) < len(files)


def test_a_topic_that_is_old_altogether_becomes_empty(tmp_path: Path) -> None:
    clock = Clock(0)
    topic = filled(tmp_path, clock)
    topic.append(pa.array([b"a"]), producer="p", sequence=8)
    end = topic.end_offsets()
    assert topic.retain(age_us=HOUR, now_us=clock.now_us + 5 * HOUR).begin_offsets == end
    assert len(segment_files(topic.path)) == 1 and read_all(topic) == []
    again = LocalTopic.open(tmp_path, "t")
    assert again.begin_offsets() == again.end_offsets() == end
    assert again.append(pa.array([b"a"]), producer="p", sequence=8).duplicate
    assert again.retain(age_us=HOUR, now_us=clock.now_us + 5 * HOUR).segments == 0
    again.append(pa.array([b"b"]))
    assert [record[1] for record in read_all(topic)] == end


def test_by_size(tmp_path: Path) -> None:
    topic = filled(tmp_path, Clock(0))
    topic.retain(bytes_max=12_000)
    assert sum(path.stat().st_size for path in segment_files(topic.path)) <= 12_000
    assert topic.retain(bytes_max=0).segments > 0
    assert len(segment_files(topic.path)) == 1 and len(read_all(topic)) > 0


def test_no_limits_remove_nothing(tmp_path: Path) -> None:
    assert filled(tmp_path, Clock(0)).retain().segments == 0


def test_never_what_a_reader_has_not_taken(tmp_path: Path) -> None:
    topic = filled(tmp_path, Clock(0))
    topic.register_reader("slow", [12])
    topic.register_reader("fast", [30])
    done = topic.retain(bytes_max=0)
    assert done.held_by == "slow" and 0 < topic.begin_offsets()[0] <= 12
    assert LocalTopic.open(tmp_path, "t").readers() == {"slow": [12], "fast": [30]}
    topic.register_reader("slow", [29])
    assert topic.retain(bytes_max=0).segments > 0 and 12 < topic.begin_offsets()[0] <= 29
    assert topic.forget_reader("slow") and not topic.forget_reader("slow")
    assert topic.readers() == {"fast": [30]}
    with pytest.raises(TopicRefused, match="no longer has offset 3"):
        topic.register_reader("late", [3])
    with pytest.raises(UsageError, match="has 1 offsets, not 2"):
        topic.register_reader("odd", [30, 30])


def test_what_was_read_stays_after_its_segment_is_gone(tmp_path: Path) -> None:
    topic = LocalTopic.create(tmp_path, "t", 1, limits=Limits(segment_bytes=1 << 20))
    for number in range(4):
        topic.append(pa.array([b"%d" % number * 100] * 20_000))
    table = LocalTopic.open(tmp_path, "t").read([0], records_max=1 << 20)
    topic.retain(bytes_max=0)
    assert topic.begin_offsets() == [60_000]
    assert table["value"].to_pylist()[::20_000] == [b"%d" % number * 100 for number in range(4)]


def test_a_reader_that_is_open_sees_the_beginning_move(tmp_path: Path) -> None:
    topic = filled(tmp_path, Clock(0))
    reader = LocalTopic.open(tmp_path, "t")
    assert reader.read([0], records_max=1).num_rows == 1
    topic.retain(bytes_max=0)
    with pytest.raises(TopicRefused, match="retention has removed everything before"):
        reader.read([7], records_max=1)
    assert len(read_all(reader)) == 30 - topic.begin_offsets()[0]


def test_files_that_a_crash_left_go_with_the_next_run(tmp_path: Path) -> None:
    topic = filled(tmp_path, Clock(0))
    first = segment_files(topic.path)[0]
    content = first.read_bytes()
    topic.retain(bytes_max=10_000)
    first.write_bytes(content)
    assert len(read_all(LocalTopic.open(tmp_path, "t"))) == 30 - topic.begin_offsets()[0]
    topic.retain(bytes_max=10_000)
    assert not first.exists()


def test_segments_are_cut_by_age(tmp_path: Path) -> None:
    clock = Clock(0)
    limits = Limits(segment_age_us=2 * HOUR)
    topic = LocalTopic.create(tmp_path, "t", 1, limits=limits, clock=clock)
    for _ in range(6):
        clock.now_us += HOUR
        topic.append(pa.array([b"a"]))
    assert len(segment_files(topic.path)) == 3
    assert [record[4] for record in read_all(topic)] == [HOUR * hour for hour in range(1, 7)]
