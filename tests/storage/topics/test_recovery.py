"""What a crash or a bad disk left: torn tails are cut, whole frames adopted, damage refused."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.storage.topics.directory import locked
from headrace.storage.topics.head import FILE_NAME as HEAD
from headrace.storage.topics.head import publish_head, read_head
from headrace.storage.topics.log import LocalTopic
from headrace.values.errors import TopicRefused
from tests.storage.topics.model import SMALL_SEGMENTS, read_all, segment_files, values_of

VALUES = [b"one", b"two", b"three"]


@pytest.fixture
def topic(tmp_path: Path) -> LocalTopic:
    """Three frames of one producer; `starts` of the frames are asked by `frame_starts`."""
    topic = LocalTopic.create(tmp_path, "t", 1)
    for number, value in enumerate(VALUES):
        topic.append(pa.array([value]), producer="p", sequence=number)
    return topic


def frame_starts(topic: LocalTopic) -> list[int]:
    with topic._seen() as head:
        index = topic._segments.active(head).index
        return [index.span(number)[0] for number in range(index.count)]


def reopened(topic: LocalTopic) -> LocalTopic:
    return LocalTopic.open(topic.path.parent, topic.name)


def reopened_without_mending(topic: LocalTopic) -> LocalTopic:
    with locked(topic.path):
        return reopened(topic)


def test_the_tail_cut_at_every_byte(topic: LocalTopic) -> None:
    path = segment_files(topic.path)[0]
    whole, last = path.read_bytes(), frame_starts(topic)[-1]
    for size in range(last, len(whole)):
        path.write_bytes(whole[:size])
        drop_head(topic.path / HEAD)
        again = reopened(topic)
        assert again.end_offsets() == [2] and values_of(again) == VALUES[:2]
        assert again.append(pa.array([b"three"]), producer="p", sequence=2).base == (2,)
        assert values_of(reopened(topic)) == VALUES


def test_a_frame_that_was_not_published_is_adopted(topic: LocalTopic) -> None:
    head = (topic.path / HEAD).read_bytes()
    topic.append(pa.array([b"four"]), producer="p", sequence=3)
    (topic.path / HEAD).write_bytes(head)
    again = LocalTopic.open(topic.path.parent, "t")
    assert values_of(again) == [*VALUES, b"four"]
    assert again.append(pa.array([b"four"]), producer="p", sequence=3).duplicate


def test_a_writer_that_is_open_adopts_what_another_left(topic: LocalTopic) -> None:
    head, other = (topic.path / HEAD).read_bytes(), reopened(topic)
    other.append(pa.array([b"four"]), producer="p", sequence=3)
    (topic.path / HEAD).write_bytes(head)
    assert topic.append(pa.array([b"four"]), producer="p", sequence=3).duplicate
    topic.append(pa.array([b"five"]))
    assert values_of(topic) == values_of(other) == [*VALUES, b"four", b"five"]


@pytest.mark.parametrize("garbage", [b"\0", bytes(640), b"HRF1" * 100, b"x" * 63])
def test_garbage_behind_the_end_is_cut(topic: LocalTopic, garbage: bytes) -> None:
    path = segment_files(topic.path)[0]
    size = path.stat().st_size
    with path.open("ab") as file:
        file.write(garbage)
    assert values_of(topic) == VALUES, "a reader does not even look at it"
    topic.append(pa.array([b"four"]))
    assert values_of(topic) == values_of(reopened(topic)) == [*VALUES, b"four"]
    assert path.read_bytes()[size : size + len(garbage)] != garbage


def drop_head(path: Path) -> None:
    path.unlink()


def tear_head(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:30])


def spoil_head(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


@pytest.mark.parametrize("harm", [drop_head, tear_head, spoil_head])
@pytest.mark.parametrize("opened", [True, False])
def test_a_lost_head_is_made_again(
    tmp_path: Path, harm: Callable[[Path], None], opened: bool
) -> None:
    topic = LocalTopic.create(tmp_path, "t", 2, limits=SMALL_SEGMENTS)
    for number in range(40):
        topic.append(pa.array([b"x" * 300, b"y"]), producer="p", sequence=number)
    topic.retain(bytes_max=8000)
    before = read_all(topic), topic.begin_offsets(), topic.end_offsets(), topic.producers()
    assert topic.begin_offsets() != [0, 0]
    harm(topic.path / HEAD)
    again = topic if opened else LocalTopic.open(tmp_path, "t")
    assert (
        read_all(again),
        again.begin_offsets(),
        again.end_offsets(),
        again.producers(),
    ) == before


def test_a_head_ahead_of_the_file(topic: LocalTopic) -> None:
    path = segment_files(topic.path)[0]
    path.write_bytes(path.read_bytes()[: frame_starts(topic)[-1]])
    with pytest.raises(TopicRefused, match="damaged at byte"):
        reopened_without_mending(topic).read([0], records_max=9)
    for use in (lambda: reopened(topic), lambda: topic.append(pa.array([b"more"]))):
        with pytest.raises(
            TopicRefused, match=f"{path} ends at byte.*were acknowledged"
        ) as refused:
            use()
        assert str(refused.value.remedy).endswith(f"remove {topic.path / HEAD}")
    drop_head(topic.path / HEAD)
    assert values_of(reopened(topic)) == VALUES[:2]
    with pytest.raises(TopicRefused, match="ends at offset 2 of partition 0, but offset 3"):
        topic.read([3], records_max=1)
    topic.append(pa.array([b"again"]))
    assert values_of(topic) == values_of(reopened(topic)) == [*VALUES[:2], b"again"]


def test_a_new_segment_that_was_not_published(tmp_path: Path) -> None:
    topic = LocalTopic.create(tmp_path, "t", 1, limits=SMALL_SEGMENTS)
    values = [b"%d" % number * 500 for number in range(9)]
    heads = []
    for value in values:
        heads.append((topic.path / HEAD).read_bytes())
        topic.append(pa.array([value]))
    heads.append((topic.path / HEAD).read_bytes())
    files = segment_files(topic.path)
    # The head from before the last segment was begun: everything behind it is adopted.
    counts = [read_head_segment(head) for head in heads]
    (topic.path / HEAD).write_bytes(heads[counts.index(len(files) - 1) - 1])
    assert values_of(LocalTopic.open(tmp_path, "t")) == values
    # A torn checkpoint in a segment that was never published goes without a trace.
    torn = topic.path / f"{len(files):012d}.segment"
    for content in (b"", files[-1].read_bytes()[:100], bytes(256)):
        torn.write_bytes(content)
        again = LocalTopic.open(tmp_path, "t", limits=SMALL_SEGMENTS)
        assert values_of(again) == values and not torn.exists()
        torn.write_bytes(content)
        (topic.path / HEAD).unlink()
        assert values_of(LocalTopic.open(tmp_path, "t")) == values and not torn.exists()


def test_a_head_that_is_several_segments_behind(tmp_path: Path) -> None:
    topic = LocalTopic.create(tmp_path, "t", 1, limits=SMALL_SEGMENTS)
    topic.append(pa.array([b"first"]))
    old = (topic.path / HEAD).read_bytes()
    values = [b"first"]
    for number in range(40):
        values.append(b"%d" % number * 300)
        topic.append(pa.array(values[-1:]), producer="p", sequence=number)
    files = segment_files(topic.path)
    assert len(files) > 4
    (topic.path / HEAD).write_bytes(old)
    again = LocalTopic.open(tmp_path, "t")
    assert values_of(again) == values and again.producers() == topic.producers()
    # The end of a segment that others follow is no torn tail, nor is their checkpoint.
    for path, size in ((files[2], files[2].stat().st_size - 64), (files[3], 100)):
        whole = path.read_bytes()
        path.write_bytes(whole[:size])
        (topic.path / HEAD).write_bytes(old)
        with pytest.raises(TopicRefused, match="damaged at byte"):
            LocalTopic.open(tmp_path, "t")
        assert path.stat().st_size == size and segment_files(topic.path) == files
        path.write_bytes(whole)
    assert values_of(LocalTopic.open(tmp_path, "t")) == values


def read_head_segment(content: bytes) -> int:
    return int.from_bytes(content[40:48], "little")


def test_a_damaged_frame_in_the_middle_is_named_and_never_cut(topic: LocalTopic) -> None:
    path = segment_files(topic.path)[0]
    whole, starts = path.read_bytes(), frame_starts(topic)
    damaged = bytearray(whole)
    damaged[starts[2] + 300] ^= 1
    path.write_bytes(damaged)
    again = reopened(topic)
    assert again.read([0], [1], records_max=9).num_rows == 1
    with pytest.raises(TopicRefused, match=rf"{path.name} is damaged at byte {starts[2]}:"):
        again.read([1], records_max=9)
    assert again.read([2], records_max=9)["value"].to_pylist() == [b"three"]
    (topic.path / HEAD).unlink()
    with pytest.raises(TopicRefused, match=rf"damaged at byte {starts[2]}:"):
        reopened(topic)
    assert path.read_bytes() == damaged
    path.write_bytes(whole)
    assert values_of(reopened(topic)) == VALUES


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_flipped_byte_never_gives_a_wrong_record(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory = tmp_path_factory.mktemp("flips")
    topic = LocalTopic.create(directory, "t", 1)
    for value in VALUES:
        topic.append(pa.array([value]))
    path = data.draw(st.sampled_from(sorted(topic.path.iterdir())))
    content = bytearray(path.read_bytes())
    if content and path.name != "topic.json":
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
        path.write_bytes(content)
    try:
        again = LocalTopic.open(directory, "t")
        assert values_of(again) == VALUES
    except TopicRefused as error:
        assert "damaged" in error.what
    shutil.rmtree(directory)


def test_a_record_that_holds_frames_is_only_a_record(topic: LocalTopic) -> None:
    content = segment_files(topic.path)[0].read_bytes()
    topic.append(pa.array([b"#" * pad + content for pad in range(64)]))
    path, end = segment_files(topic.path)[0], frame_starts(topic)[-1]
    path.write_bytes(path.read_bytes()[:-64])
    drop_head(topic.path / HEAD)
    assert values_of(reopened(topic)) == VALUES
    assert path.stat().st_size == end


def test_made_again_under_an_open_reader(tmp_path: Path) -> None:
    reader = LocalTopic.create(tmp_path, "t", 1)
    reader.append(pa.array([b"a"]))
    shutil.rmtree(reader.path)
    for use in (reader.end_offsets, lambda: reader.wait([1], 1), lambda: append_one(reader)):
        with pytest.raises(TopicRefused, match="deleted"):
            use()
    again = LocalTopic.create(tmp_path, "t", 1)
    assert again.identity != reader.identity
    for use in (
        lambda: reader.read([0], records_max=1),
        lambda: reader.wait([1], 1),
        lambda: append_one(reader),
        lambda: reader.register_reader("r", [0]),
        reader.retain,
    ):
        with pytest.raises(TopicRefused, match="deleted and made again"):
            use()
    assert again.end_offsets() == [0]


def append_one(topic: LocalTopic) -> object:
    return topic.append(pa.array([b"b"]))


def test_a_missing_segment_is_named(tmp_path: Path) -> None:
    topic = LocalTopic.create(tmp_path, "t", 1, limits=SMALL_SEGMENTS)
    for _ in range(20):
        topic.append(pa.array([b"x" * 900]))
    path = segment_files(topic.path)[1]
    path.unlink()
    with pytest.raises(TopicRefused, match=rf"{path.name} is missing"):
        read_all(LocalTopic.open(tmp_path, "t"))


def test_a_finished_segment_that_lost_its_last_frames_is_named(tmp_path: Path) -> None:
    topic = LocalTopic.create(tmp_path, "t", 1, limits=SMALL_SEGMENTS)
    for _ in range(12):
        topic.append(pa.array([b"x" * 700]))
    first, *_ = segment_files(topic.path)
    with topic._seen() as head:
        index = topic._segments.at(0, head).index
        spans = [index.span(number) for number in range(index.count)]
    for begin, _ in reversed(spans[1:]):
        os.truncate(first, begin)
        with pytest.raises(TopicRefused, match="is damaged") as refused:
            read_all(reopened(topic))
        assert str(first) in str(refused.value)


def test_the_head_comes_back_as_it_was_written(topic: LocalTopic) -> None:
    head = read_head(topic.path, 1)
    assert head is not None
    publish_head(topic.path, head)
    assert read_head(topic.path, 1) == head and read_head(topic.path, 2) is None


def test_a_lost_description_is_no_missing_topic(topic: LocalTopic) -> None:
    about = topic.path / "topic.json"
    about.unlink()
    with pytest.raises(TopicRefused, match=f"{about} is missing.*\n.*from a backup"):
        reopened(topic)


def test_every_byte_of_what_a_topic_is_counts(topic: LocalTopic) -> None:
    about = topic.path / "topic.json"
    whole = about.read_bytes()
    for at in range(len(whole)):
        for bit in range(8):
            flipped = whole[at] ^ (1 << bit)
            about.write_bytes(whole[:at] + bytes([flipped]) + whole[at + 1 :])
            try:
                assert values_of(reopened(topic)) == VALUES
            except TopicRefused as refused:
                assert str(about) in str(refused)
                assert "estore the topic's directory from a backup" in (refused.remedy or "")


@pytest.mark.parametrize("content", ["[]", '{"r": 1}', '{"r": ["1"]}', '{"r": [1}', "1"])
def test_readers_that_are_damaged(topic: LocalTopic, content: str) -> None:
    (topic.path / "readers.json").write_text(content)
    with pytest.raises(TopicRefused, match=r"readers\.json is damaged"):
        topic.readers()


def test_every_byte_of_who_reads_counts(topic: LocalTopic) -> None:
    # A digit more, and retention would take what a reader still needs.
    topic.register_reader("r", [1])
    topic.register_reader("s", [2])
    path, wanted = topic.path / "readers.json", topic.readers()
    whole = path.read_bytes()
    for at in range(len(whole)):
        for bit in range(8):
            path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << bit]) + whole[at + 1 :])
            try:
                assert topic.readers() == wanted
            except TopicRefused as refused:
                assert str(path) in str(refused) and refused.remedy
        path.write_bytes(whole[:at])
        with pytest.raises(TopicRefused, match=r"readers\.json is damaged"):
            topic.readers()


def test_readers_as_logs_of_the_first_days_have_them(topic: LocalTopic) -> None:
    path = topic.path / "readers.json"
    path.write_text('{"r": [1], "checksum": [2]}')
    assert topic.readers() == {"r": [1], "checksum": [2]}
    topic.register_reader("r", [3])
    assert topic.readers() == {"r": [3], "checksum": [2]}
