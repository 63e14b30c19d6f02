"""Where rows land, and that a producer's rows land once."""

from __future__ import annotations

import tempfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.storage.topics import frame, segment
from headrace.storage.topics.log import LocalTopic
from headrace.storage.topics.writer import Limits
from headrace.values.errors import TopicRefused, UsageError
from tests.storage.topics.model import SMALL_SEGMENTS, Clock, columns, listed, read_all, values_of
from tests.storage.topics.test_murmur2 import plain_partition


def test_keys_go_where_kafka_puts_them(tmp_path: Path) -> None:
    topic = LocalTopic.create(tmp_path, "t", 5)
    keys = [b"user-%d" % i for i in range(100)]
    landed = topic.append(pa.array(keys), pa.array(keys))
    assert landed.rows == 100 and landed.base == (0,) * 5
    assert all(plain_partition(key, 5) == partition for partition, _, key, *_ in read_all(topic))


def test_keyless_rows_without_a_producer_go_round(tmp_path: Path) -> None:
    topic = LocalTopic.create(tmp_path, "t", 3)
    for cut in ([b"0", b"1"], [b"2"], [], [b"3", b"4", b"5", b"6"]):
        topic.append(pa.array(cut, pa.binary()))
    assert sorted((int(r[3] or b""), r[0]) for r in read_all(topic)) == [
        (i, i % 3) for i in range(7)
    ]


def test_a_given_partition_wins(tmp_path: Path) -> None:
    topic = LocalTopic.create(tmp_path, "t", 3)
    topic.append(pa.array([b"a", b"b"]), pa.array([b"k", None]), partition=np.array([2, 2]))
    assert [(r[0], r[1], r[3]) for r in read_all(topic)] == [(2, 0, b"a"), (2, 1, b"b")]


def test_text_chunks_and_nulls_are_taken(tmp_path: Path) -> None:
    topic = LocalTopic.create(tmp_path, "t", 1)
    topic.append(pa.chunked_array([["a", None], ["c"]]), pa.chunked_array([["k"], ["k", None]]))
    assert [(r[2], r[3]) for r in read_all(topic)] == [(b"k", b"a"), (b"k", None), (None, b"c")]


def test_extras_come_back_when_asked_for(tmp_path: Path) -> None:
    topic = LocalTopic.create(tmp_path, "t", 2)
    times = pa.array([5, None, 7], pa.timestamp("us"))
    headers = pa.array(
        [[{"key": "h", "value": b"1"}], [], None],
        pa.list_(pa.struct([("key", pa.string()), ("value", pa.binary())])),
    )
    topic.append(
        pa.array([b"a", b"b", b"c"]),
        partition=np.array([1, 0, 1]),
        extras={"timestamp": times, "headers": headers},
    )
    topic.append(pa.array([b"d"]), partition=np.array([0]))
    table = topic.read([0, 0], records_max=10, extras=True)
    assert table["value"].to_pylist() == [b"b", b"a", b"c", b"d"]
    assert table["timestamp"].cast(pa.int64()).to_pylist() == [None, 5, 7, None]
    assert table["headers"].to_pylist() == [[], [{"key": "h", "value": b"1"}], None, None]
    assert "headers" not in topic.read([0, 0], records_max=10).column_names


def test_a_delivery_lands_once(tmp_path: Path) -> None:
    topic = LocalTopic.create(tmp_path, "t", 2)
    first = topic.append(pa.array([b"a", b"b"]), producer="job", sequence=1, note={"epoch": 1})
    again = topic.append(pa.array([b"a", b"b"]), producer="job", sequence=1, note={"epoch": 9})
    other = topic.append(pa.array([b"c"]), producer="other", sequence=1)
    older = topic.append(pa.array([b"z"]), producer="job", sequence=0)
    assert [x.duplicate for x in (first, again, other, older)] == [False, True, False, True]
    assert again.rows == 0 and topic.end_offsets() == [1, 2]
    state = topic.producer("job")
    assert state is not None and (state.sequence, state.note) == (1, {"epoch": 1})
    assert topic.producer("none") is None and set(topic.producers()) == {"job", "other"}


def test_a_delivery_without_rows_is_kept(tmp_path: Path) -> None:
    topic = LocalTopic.create(tmp_path, "t", 2)
    nothing = pa.array([], pa.binary())
    assert not topic.append(nothing, producer="job", sequence=1 << 40, note={"n": 1}).duplicate
    assert topic.append(nothing, producer="job", sequence=1 << 40).duplicate
    topic = LocalTopic.open(tmp_path, "t")
    state = topic.producer("job")
    assert state is not None and (state.sequence, state.note) == (1 << 40, {"n": 1})
    assert read_all(topic) == [] and topic.end_offsets() == [0, 0]
    assert topic.append(nothing).base == (0, 0)


def test_numbered_rows_that_overlap_are_trimmed(tmp_path: Path) -> None:
    topic = LocalTopic.create(tmp_path, "t", 1)
    rows = pa.array([b"%d" % i for i in range(10)])
    one = topic.append_numbered(rows[:4], producer="p", first_sequence=0)
    two = topic.append_numbered(rows[2:7], producer="p", first_sequence=2)
    three = topic.append_numbered(rows[3:6], producer="p", first_sequence=3)
    four = topic.append_numbered(rows[7:], producer="p", first_sequence=7, note={"last": True})
    assert [(x.rows, x.skipped, x.duplicate) for x in (one, two, three, four)] == [
        (4, 0, False),
        (3, 2, False),
        (0, 3, True),
        (3, 0, False),
    ]
    assert values_of(topic) == rows.to_pylist()
    state = topic.producer("p")
    assert state is not None and (state.sequence, state.note) == (9, {"last": True})


def test_a_note_alone_keeps_the_number(tmp_path: Path) -> None:
    topic = LocalTopic.create(tmp_path, "t", 1)
    nothing = pa.array([], pa.binary())
    topic.append_numbered(pa.array([b"a", b"b"]), producer="p", first_sequence=0, note={"n": 1})
    old = topic.append_numbered(nothing, producer="p", first_sequence=1, note={"n": 2})
    end = topic.append_numbered(nothing, producer="p", first_sequence=2, note={"n": 3})
    state = topic.producer("p")
    assert (old.duplicate, end.duplicate) == (True, False)
    assert state is not None and (state.sequence, state.note) == (1, {"n": 3})


ROWS = st.lists(
    st.tuples(st.none() | st.sampled_from([b"a", b"b", b"cc", b""]), st.binary(max_size=9)),
    min_size=1,
    max_size=60,
)


@settings(max_examples=40, deadline=None)
@given(rows=ROWS, data=st.data(), partitions=st.integers(1, 5))
def test_the_same_input_gives_the_same_log_however_it_is_cut(
    rows: list[tuple[bytes | None, bytes | None]], data: st.DataObject, partitions: int
) -> None:
    values, keys = columns(rows)
    logs = []
    for _ in range(2):
        with tempfile.TemporaryDirectory() as directory:
            topic = LocalTopic.create(
                Path(directory), "t", partitions, limits=SMALL_SEGMENTS, clock=Clock()
            )
            at = 0
            while at < len(rows):
                # Some batches begin before what is there: a resumed run that reads again.
                first = max(0, at - data.draw(st.integers(0, 3)))
                until = data.draw(st.integers(at + 1, len(rows)))
                topic.append_numbered(
                    values[first:until], keys[first:until], producer="p", first_sequence=first
                )
                at = until
            logs.append(sorted(read_all(topic)))
    assert logs[0] == logs[1] and len(logs[0]) == len(rows)


def test_arrival_times_never_go_back(tmp_path: Path) -> None:
    clock = Clock(1000)
    topic = LocalTopic.create(tmp_path, "t", 1, clock=clock)
    for now_us in (2000, 1500, 3000):
        clock.now_us = now_us
        topic.append(pa.array([b"a"]))
    assert [r[4] for r in read_all(topic)] == [2000, 2000, 3000]


def test_producers_outlive_their_segments(tmp_path: Path) -> None:
    topic = LocalTopic.create(tmp_path, "t", 1, limits=SMALL_SEGMENTS)
    topic.append(pa.array([b"a"]), producer="first", sequence=5, note={"kept": [1, "é"]})
    for number in range(30):
        topic.append(pa.array([b"x" * 900]), producer="many", sequence=number)
    topic.retain(bytes_max=0)
    assert topic.begin_offsets()[0] > 1
    topic = LocalTopic.open(tmp_path, "t", limits=SMALL_SEGMENTS)
    state = topic.producer("first")
    assert state is not None and (state.sequence, state.note) == (5, {"kept": [1, "é"]})
    assert topic.append(pa.array([b"a"]), producer="first", sequence=5).duplicate


def test_what_was_written_is_not_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked = list[int]()

    def holds(content: memoryview, seed: int) -> bool:
        looked.append(len(content))
        return frame.holds(content, seed)

    monkeypatch.setattr(segment, "frame", SimpleNamespace(**vars(frame) | {"holds": holds}))
    topic = LocalTopic.create(tmp_path, "t", 1, limits=SMALL_SEGMENTS)
    for number in range(5):
        topic.append(pa.array([b"x" * 5000]), producer="p", sequence=number)
    assert topic.producer("p").sequence == 4  # type: ignore[union-attr]
    assert max(looked) < 5000


def test_what_does_not_fit_is_refused_in_words(tmp_path: Path) -> None:
    topic = LocalTopic.create(tmp_path, "t", 2, limits=Limits(append_bytes_max=1000))
    value = pa.array([b"a"])
    with pytest.raises(UsageError, match="2 keys were given for 1 values"):
        topic.append(value, pa.array([b"a", b"b"]))
    with pytest.raises(UsageError, match="must be binary, not int64"):
        topic.append(pa.array([1]))
    with pytest.raises(UsageError, match="numbered 0 to 1"):
        topic.append(value, partition=np.array([2]))
    with pytest.raises(UsageError, match='Did you mean "headers"'):
        topic.append(value, extras={"header": value})
    with pytest.raises(UsageError, match="both a producer and a sequence"):
        topic.append(value, sequence=1)
    with pytest.raises(UsageError, match="several batches"):
        topic.append(pa.array([b"a" * 2000]))
    assert topic.end_offsets() == [0, 0]


def test_making_and_opening(tmp_path: Path) -> None:
    clicks = LocalTopic.ensure(tmp_path / "topics", "clicks", 3)
    assert LocalTopic.ensure(tmp_path / "topics", "clicks", 3).identity == clicks.identity
    assert not list((tmp_path / "topics").glob(".*"))
    with pytest.raises(TopicRefused, match="has 3 partitions, not 4"):
        LocalTopic.ensure(tmp_path / "topics", "clicks", 4)
    with pytest.raises(TopicRefused, match="already"):
        LocalTopic.create(tmp_path / "topics", "clicks", 3)
    with pytest.raises(TopicRefused, match='Did you mean "clicks"'):
        LocalTopic.open(tmp_path / "topics", "click")
    with pytest.raises(UsageError, match="cannot name a topic"):
        LocalTopic.create(tmp_path, "../up", 1)
    with pytest.raises(UsageError, match="1 to 4096 partitions"):
        LocalTopic.create(tmp_path, "none", 0)


def test_many_partitions(tmp_path: Path) -> None:
    topic = LocalTopic.create(tmp_path, "t", 4096)
    keys = pa.array([b"%d" % i for i in range(50)])
    topic.append(keys, keys)
    topic = LocalTopic.open(tmp_path, "t")
    assert sorted(r[3] or b"" for r in listed(topic.read([0] * 4096, records_max=99))) == sorted(
        keys.to_pylist()
    )
