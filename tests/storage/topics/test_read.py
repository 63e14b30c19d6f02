"""Any range of a topic reads as a list of records says, from any process's point of view."""

from __future__ import annotations

import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.storage.contract import RECORDS
from headrace.storage.topics.head import Head
from headrace.storage.topics.log import LocalTopic
from headrace.storage.topics.segment import Segment, index_path
from headrace.storage.topics.segments import Segments
from headrace.values.errors import TopicRefused, UsageError
from headrace.values.weights import read_bytes_max
from tests.storage.topics.model import (
    SMALL_SEGMENTS,
    Clock,
    Model,
    Record,
    columns,
    listed,
    read_all,
    segment_files,
)

ROWS = st.lists(
    st.tuples(
        st.none() | st.sampled_from([b"a", b"b", b"c", b"dd"]), st.none() | st.binary(max_size=300)
    ),
    max_size=20,
)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), partitions=st.integers(1, 4))
def test_reads_are_what_the_list_says(data: st.DataObject, partitions: int) -> None:
    clock, model = Clock(), Model(partitions)
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        topic = LocalTopic.create(directory, "t", partitions, limits=SMALL_SEGMENTS, clock=clock)
        reader = LocalTopic.open(directory, "t")
        for _ in range(data.draw(st.integers(1, 12))):
            clock.now_us += data.draw(st.integers(0, 5))
            rows = data.draw(ROWS)
            model.append(rows, clock.now_us, range(len(model.records()), 1 << 62))
            topic.append(*columns(rows))
            match data.draw(st.integers(0, 5)):
                case 0:
                    topic = LocalTopic.open(directory, "t", limits=SMALL_SEGMENTS, clock=clock)
                case 1:
                    reader = LocalTopic.open(directory, "t")
                case 2:
                    for index in (directory / "t").glob("*.index"):
                        index.unlink()
                case 3:
                    _check_a_range(data, model, reader)
        assert reader.end_offsets() == model.ends()
        _check_a_range(data, model, reader)
        # Small reads may cut a frame, of which every partition then gives its share.
        few = read_all(reader, data.draw(st.integers(1, 50)))
        assert sorted(few, key=_place) == sorted(model.records(), key=_place)
        assert listed(topic.read([0] * partitions, records_max=10**6)) == model.records()


def _check_a_range(data: st.DataObject, model: Model, reader: LocalTopic) -> None:
    start = [data.draw(st.integers(0, end)) for end in model.ends()]
    stop = [data.draw(st.integers(0, end + 3)) for end in model.ends()]
    table = reader.read(start, stop, records_max=1 << 40)
    assert table.schema.equals(RECORDS)
    assert listed(table) == model.between(start, stop)


def _place(record: Record) -> tuple[int, int]:
    return record[:2]


def test_a_large_frame_is_cut_with_the_partitions_in_step(tmp_path: Path) -> None:
    topic = LocalTopic.create(tmp_path, "t", 2)
    topic.append(pa.array([b"x"] * 900), partition=np.array([0] * 600 + [1] * 300))
    table = topic.read([0, 0], records_max=90)
    assert np.bincount(table["partition"].to_numpy()).tolist() == [60, 30]
    table = topic.read([60, 30], records_max=3)
    assert listed(table)[0][:2] == (0, 60) and table.num_rows == 3


def test_frames_are_taken_whole_where_they_fit(tmp_path: Path) -> None:
    topic = LocalTopic.create(tmp_path, "t", 1)
    for _ in range(5):
        topic.append(pa.array([b"x"] * 10))
    assert topic.read([0], records_max=25).num_rows == 20
    assert topic.read([5], records_max=25).num_rows == 25
    assert topic.read([0], [13], records_max=100).num_rows == 13
    assert topic.read([50], records_max=1).num_rows == 0


@pytest.mark.parametrize("at_once", [10, 150])
def test_large_records_are_read_fewer_at_a_time(at_once: int, tmp_path: Path) -> None:
    """Whatever the frames, a read takes some dozens of megabytes, and together all is read."""
    topic = LocalTopic.create(tmp_path, "t", 2)
    size, count = 1 << 20, 150
    for _ in range(0, count, at_once):
        places = np.arange(at_once, dtype=np.int32) % 2
        topic.append(pa.array([b"x" * size] * at_once), partition=places)
    start, sizes = [0, 0], []
    while start != topic.end_offsets():
        fetched = topic.fetch(start, records_max=100_000)
        start = fetched.next_offsets
        sizes.append(len(fetched.records))
    assert sum(sizes) == count
    assert max(sizes) * size <= read_bytes_max(100_000) + 2 * size
    assert len(sizes) <= 4


def test_a_partition_far_behind_is_read_alone(tmp_path: Path) -> None:
    topic = LocalTopic.create(tmp_path, "t", 2)
    for _ in range(3000):
        topic.append(pa.array([b"a", b"b"]), partition=np.array([0, 1]))
    assert topic.read([0, 3000], records_max=10**6).num_rows == 3000
    assert topic.read([0, 3000], [0, 3000], records_max=10**6).num_rows == 0
    assert listed(topic.read([3000, 2999], records_max=10))[0][:2] == (1, 2999)


def test_reading_copies_no_values(tmp_path: Path) -> None:
    topic = LocalTopic.create(tmp_path, "t", 1)
    topic.append(pa.array([b"x" * 1000] * 8000))
    before = pa.total_allocated_bytes()
    table = topic.read([0], records_max=10**6)
    assert table.nbytes > 8_000_000 and pa.total_allocated_bytes() - before < 1_000_000


def test_a_read_that_cannot_be_is_refused(tmp_path: Path) -> None:
    topic = LocalTopic.create(tmp_path, "t", 2)
    topic.append(pa.array([b"a"]), partition=np.array([0]))
    with pytest.raises(TopicRefused, match="ends at offset 0 of partition 1, but offset 1"):
        topic.read([0, 1], records_max=1)
    with pytest.raises(UsageError, match="takes 2 offsets"):
        topic.read([0], records_max=1)


def test_waiting_ends_soon_after_an_append(tmp_path: Path) -> None:
    reader = LocalTopic.create(tmp_path, "t", 2)
    writer = LocalTopic.open(tmp_path, "t")
    assert not reader.wait([0, 0], 0)
    assert not reader.wait([0, 0], 0.02)
    appended: list[float] = []

    def append() -> None:
        time.sleep(0.1)
        writer.append(pa.array([b"a"]))
        appended.append(time.monotonic())

    thread = threading.Thread(target=append)
    thread.start()
    assert reader.wait([0, 0], 10)
    woken = time.monotonic()
    thread.join()
    assert woken - appended[0] < 0.1
    assert reader.wait([0, 0], 0) and not reader.wait(reader.end_offsets(), 0)


def test_offsets_by_arrival_time(tmp_path: Path) -> None:
    clock = Clock(0)
    topic = LocalTopic.create(tmp_path, "t", 2, limits=SMALL_SEGMENTS, clock=clock)
    for second in range(1, 21):
        clock.now_us = second * 1_000_000
        topic.append(pa.array([b"x" * 500] * 2), partition=np.array([0, 1]))
    assert len(segment_files(topic.path)) > 2
    for second in range(1, 21):
        assert topic.offset_at(second * 1_000_000) == [second - 1] * 2
        assert topic.offset_at(second * 1_000_000 + 1) == [second] * 2
    assert topic.offset_at(0) == [0, 0]


def test_a_damaged_index_is_made_again(tmp_path: Path) -> None:
    topic = LocalTopic.create(tmp_path, "t", 1)
    for number in range(50):
        topic.append(pa.array([b"%d" % number]))
    path = index_path(topic.path, 0)
    content = path.read_bytes()
    for damaged in (b"", content[:1000], bytes(len(content)), content[:777] + bytes(999)):
        path.write_bytes(damaged)
        topic = LocalTopic.open(tmp_path, "t")
        assert len(read_all(topic)) == topic.end_offsets()[0]
        topic.append(pa.array([b"more"]))
        assert len(read_all(LocalTopic.open(tmp_path, "t"))) == topic.end_offsets()[0]


def test_threads_share_one_topic(tmp_path: Path) -> None:
    topic = LocalTopic.create(tmp_path, "t", 2, limits=SMALL_SEGMENTS)

    def append(name: str) -> None:
        for number in range(60):
            topic.append(pa.array([b"%d" % number] * 3), producer=name, sequence=number)

    threads = [threading.Thread(target=append, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    offsets, rows = [0, 0], 0
    while rows < 360 and topic.wait(offsets, 10):
        table = topic.read(offsets, records_max=50)
        rows += table.num_rows
        for partition in table["partition"].to_pylist():
            offsets[partition] += 1
    for thread in threads:
        thread.join()
    assert rows == 360 and len(read_all(topic)) == 360


def test_what_lies_between_two_partitions_is_not_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One may have rested for long, and the last records of all are read at each start."""
    topic = LocalTopic.create(tmp_path, "t", 2, limits=SMALL_SEGMENTS)
    topic.append(pa.array([b"first"]), partition=np.array([0]))
    for _ in range(40):
        topic.append(pa.array([b"x" * 300]), partition=np.array([1]))
    assert len(segment_files(tmp_path / "t")) > 5
    looked, at = set[int](), Segments.at

    def counted(self: Segments, ordinal: int, head: Head) -> Segment:
        looked.add(ordinal)
        return at(self, ordinal, head)

    monkeypatch.setattr(Segments, "at", counted)
    found = LocalTopic.open(tmp_path, "t").read([0, 39], [1, 40], records_max=1 << 30)
    assert found.column("value").to_pylist() == [b"first", b"x" * 300]
    assert len(looked) == 2
