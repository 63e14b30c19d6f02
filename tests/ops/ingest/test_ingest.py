"""Files into a topic: every line once, whatever is killed, torn, copied or grown."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pyarrow as pa
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.ops.ingest.formats import Reading
from headrace.ops.ingest.ingest import ingest
from headrace.ops.ingest.report import IngestRefused, IngestReport
from headrace.storage.topics.log import LocalTopic
from headrace.storage.topics.murmur2 import partitions_of
from headrace.values.errors import InputRefused, UsageError
from headrace.values.oversize import oversize_of
from tests.ops.ingest.topics import contents, values


@pytest.fixture
def topic(tmp_path: Path) -> LocalTopic:
    return LocalTopic.ensure(tmp_path / "topics", "events", 1)


def lines_of(count: int, first: int = 0) -> bytes:
    return b"".join(b'{"id":"k%d","n":%d}\n' % (n % 7, n) for n in range(first, first + count))


def fast_gzip(content: bytes) -> bytes:
    return gzip.compress(content, 1)


def taken(report: IngestReport) -> tuple[int, int, str]:
    (file,) = report.files
    return file.added, file.already_there, file.known


def test_every_line_is_a_record_in_order(topic: LocalTopic, tmp_path: Path) -> None:
    path = tmp_path / "events.ndjson"
    odd = [b"not json", b"\xff\xfe", b"\x00", b" ", b"[1]", b'{"id":null}', b'{"id":3}']
    path.write_bytes(b"\xef\xbb\xbf" + b"\r\n".join([b'{"id":"a"}', b"", *odd]))
    report = ingest(topic, [path], key="id")
    assert taken(report) == (8, 0, "nothing")
    assert report.empty == 1
    keys = [b"a", None, None, None, None, None, None, b"3"]
    assert contents(topic)[0] == list(zip(keys, [b'{"id":"a"}', *odd], strict=True))
    json.dumps(report.to_json())


@given(st.lists(st.binary(max_size=30)), st.integers(1, 4))
@settings(max_examples=30, deadline=None)
def test_any_bytes_are_records_of_the_partition_of_their_key(
    tmp_path_factory: pytest.TempPathFactory, parts: list[bytes], partitions: int
) -> None:
    directory = tmp_path_factory.mktemp("any")
    topic = LocalTopic.ensure(directory / "topics", "events", partitions)
    content = b"\n".join(
        part if number % 2 else b'{"a":{"b":"k%d"}}' % len(part)
        for number, part in enumerate(parts)
    )
    path = directory / "any.jsonl"
    path.write_bytes(content)
    ingest(topic, [path], key="a.b")
    expected: dict[int, list[tuple[bytes | None, bytes]]] = {}
    text = content.removeprefix(b"\xef\xbb\xbf")
    lines = [line.removesuffix(b"\r") for line in text.split(b"\n")]
    for number, line in enumerate([line for line in lines if line]):
        key = None
        try:
            found = json.loads(line.decode())
            key = found["a"]["b"].encode()
        except (ValueError, TypeError, KeyError, AttributeError, IndexError):
            pass
        place = number % partitions
        if key is not None:
            place = int(partitions_of(pa.array([key]), partitions)[0])
        expected.setdefault(place, []).append((key, line))
    assert contents(topic) == expected


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstandard.compress])
def test_the_same_content_is_added_once_wherever_it_lies(
    topic: LocalTopic, tmp_path: Path, pack: object
) -> None:
    first, copy = tmp_path / "a.jsonl", tmp_path / "copy.jsonl"
    assert callable(pack)
    first.write_bytes(pack(lines_of(1_000)))
    copy.write_bytes(first.read_bytes())
    assert taken(ingest(topic, [first], key=None)) == (1_000, 0, "nothing")
    assert taken(ingest(topic, [first], key=None)) == (0, 1_000, "all")
    assert taken(ingest(topic, [copy], key=None)) == (0, 1_000, "all")
    assert taken(ingest(topic, [copy], key=None, again=True)) == (1_000, 0, "nothing")
    assert taken(ingest(topic, [first], key=None, again=True)) == (1_000, 0, "nothing")
    assert taken(ingest(topic, [first], key=None)) == (0, 1_000, "all")
    assert values(topic) == lines_of(1_000).splitlines() * 3


def test_another_way_of_reading_is_another_input(topic: LocalTopic, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"id,n\na,1\nb,2\n")
    assert taken(ingest(topic, [path], key=None)) == (2, 0, "nothing")
    assert taken(ingest(topic, [path], key=None, reading=Reading("ndjson"))) == (3, 0, "nothing")
    mapped = Reading(expressions={"n": "n + 1"})
    assert taken(ingest(topic, [path], key=None, reading=mapped)) == (2, 0, "nothing")
    assert taken(ingest(topic, [path], key=None)) == (0, 2, "all")


def test_of_a_file_that_grew_only_the_new_part_is_added(topic: LocalTopic, tmp_path: Path) -> None:
    path, old = tmp_path / "log.jsonl", tmp_path / "old.jsonl"
    path.write_bytes(lines_of(10))
    old.write_bytes(lines_of(10))
    ingest(topic, [path], key=None)
    path.write_bytes(lines_of(25))
    assert taken(ingest(topic, [path], key=None)) == (15, 10, "grown")
    path.write_bytes(lines_of(30) + b'{"half":')
    assert taken(ingest(topic, [path], key=None)) == (6, 25, "grown")
    assert values(topic) == [*lines_of(30).splitlines(), b'{"half":']
    # The line that was taken without its end is taken once more when it has one.
    path.write_bytes(lines_of(30) + b'{"half":1}\n' + lines_of(1, 30))
    assert taken(ingest(topic, [path], key=None)) == (2, 31, "grown")
    assert values(topic)[30:] == [b'{"half":', b'{"half":1}', *lines_of(1, 30).splitlines()]
    # An older copy of it has nothing new.
    assert ingest(topic, [old], key=None).added == 0
    assert taken(ingest(topic, [path], key=None)) == (0, 33, "all")


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_a_last_line_that_only_gets_its_end_is_not_taken_twice(
    topic: LocalTopic, tmp_path: Path, end: bytes
) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(b'{"n":1}\n{"n":2}')
    ingest(topic, [path], key=None)
    path.write_bytes(b'{"n":1}\n{"n":2}' + end + b'{"n":3}\n')
    assert taken(ingest(topic, [path], key=None)) == (1, 2, "grown")
    assert values(topic) == [b'{"n":1}', b'{"n":2}', b'{"n":3}']


def test_a_file_that_begins_like_another_is_its_own(topic: LocalTopic, tmp_path: Path) -> None:
    short, long = tmp_path / "monday.jsonl", tmp_path / "tuesday.jsonl"
    short.write_bytes(lines_of(5))
    long.write_bytes(lines_of(9))
    ingest(topic, [short], key=None)
    assert taken(ingest(topic, [long], key=None)) == (9, 0, "nothing")


def test_a_torn_gzip_gives_its_whole_lines_and_later_the_rest(
    topic: LocalTopic, tmp_path: Path
) -> None:
    path, other = tmp_path / "events.jsonl.gz", tmp_path / "other.jsonl"
    content = b"".join(os.urandom(20).hex().encode() + b"\n" for _ in range(20_000))
    whole = gzip.compress(content)
    path.write_bytes(whole[: len(whole) // 2])
    other.write_bytes(b"1\n2\n")
    with pytest.raises(IngestRefused) as refused:
        ingest(topic, [path, other], key=None)
    report = refused.value.report
    assert refused.value.exit_code == 3
    torn, good = report.files
    assert 5_000 < torn.added < 15_000
    assert f"{path} is torn behind line {torn.added:,}: it is cut off" in str(refused.value)
    assert "run the same command again" in str(refused.value)
    # The others were taken all the same, and the same again adds nothing.
    assert good.added == 2
    assert values(topic) == [*content.splitlines()[: torn.added], b"1", b"2"]
    with pytest.raises(IngestRefused) as refused:
        ingest(topic, [path, other], key=None)
    assert refused.value.report.added == 0
    # The whole file in its place brings what was missing.
    path.write_bytes(whole)
    assert taken(ingest(topic, [path], key=None)) == (20_000 - torn.added, torn.added, "grown")
    assert sorted(values(topic)) == sorted([*content.splitlines(), b"1", b"2"])
    assert taken(ingest(topic, [path], key=None)) == (0, 20_000, "all")


def test_a_line_above_the_limit_is_cut_and_says_so(topic: LocalTopic, tmp_path: Path) -> None:
    path = tmp_path / "big.jsonl"
    with path.open("wb") as file:
        file.write(b'{"id":"a"}\n{"id":"' + b"x" * 50_000_000 + b'"}\n{"id":"b"}\n')
    assert taken(ingest(topic, [path], key="id")) == (3, 0, "nothing")
    first, big, last = values(topic)
    assert (first, last) == (b'{"id":"a"}', b'{"id":"b"}')
    original = oversize_of(big)
    assert original is not None
    assert original.bytes == 50_000_009
    assert len(big) < 66_000


def test_nothing_is_added_when_a_file_is_missing(topic: LocalTopic, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(lines_of(3))
    with pytest.raises(InputRefused, match="missing.jsonl does not exist"):
        ingest(topic, [path, tmp_path / "missing.jsonl"], key=None)
    assert values(topic) == []
    with pytest.raises(UsageError):
        ingest(topic, [], key=None)


def test_an_empty_file_is_nothing(topic: LocalTopic, tmp_path: Path) -> None:
    for name, content in (("a.jsonl", b""), ("b.csv", b""), ("c.jsonl", b"\n\r\n\n")):
        path = tmp_path / name
        path.write_bytes(content)
        assert ingest(topic, [path], key=None).added == 0
        assert taken(ingest(topic, [path], key=None)) == (0, 0, "all")
    assert values(topic) == []


def test_a_stopped_ingest_goes_on_where_it_ended(topic: LocalTopic, tmp_path: Path) -> None:
    path = tmp_path / "many.jsonl"
    path.write_bytes(lines_of(2_000_000))
    stop = threading.Event()
    seen = []

    def progress(name: str, done: float, total: float | None) -> None:
        seen.append((done, total))
        stop.set()

    report = ingest(topic, [path, path], key=None, stop=stop, progress=progress)
    assert report.stopped
    assert 0 < report.added < 2_000_000
    assert seen[0][1] == path.stat().st_size
    rest = ingest(topic, [path], key=None)
    assert taken(rest) == (2_000_000 - report.added, report.added, "part")
    assert sum(topic.end_offsets()) == 2_000_000


def test_a_packed_file_whose_tail_is_damaged_is_refused_in_words(
    topic: LocalTopic, tmp_path: Path
) -> None:
    """Also where its last line had no end and might have gone on."""
    path = tmp_path / "f.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"id":"a"}'))
    assert ingest(topic, [path], key=None).added == 1
    with path.open("ab") as file:
        file.write(b"x\n")
    with pytest.raises(IngestRefused, match="is torn"):
        ingest(topic, [path], key=None)
    assert values(topic) == [b'{"id":"a"}']


def test_each_file_that_is_torn_has_a_line_of_its_own(topic: LocalTopic, tmp_path: Path) -> None:
    paths = [tmp_path / "a.jsonl.gz", tmp_path / "b.jsonl.gz"]
    for path in paths:
        path.write_bytes(gzip.compress(b'{"id":"a"}\n')[:-1])
    with pytest.raises(IngestRefused) as refused:
        ingest(topic, paths, key=None)
    said = str(refused.value).splitlines()
    assert [line.split()[0] for line in said[:2]] == [str(path) for path in paths]


CHILD = """
import sys
from pathlib import Path
from headrace.ops.ingest.ingest import ingest
from headrace.storage.topics.log import LocalTopic

topic = LocalTopic.ensure(Path(sys.argv[1]), "events", 1)
paths = [Path(name) for name in sys.argv[2:]]
print("ready", flush=True)
print(ingest(topic, paths, key="id", progress=lambda *_: print(".", flush=True)).added)
"""


def killed(arguments: list[str], dots: int) -> None:
    """Runs an ingest and kills it when it has read so many blocks."""
    child = subprocess.Popen([sys.executable, "-c", CHILD, *arguments], stdout=subprocess.PIPE)
    assert child.stdout is not None
    for _ in range(dots + 1):
        child.stdout.readline()
    os.kill(child.pid, signal.SIGKILL)
    child.wait()


@pytest.mark.parametrize("pack", [bytes, fast_gzip])
def test_a_killed_ingest_adds_only_what_is_missing(tmp_path: Path, pack: object) -> None:
    path = tmp_path / "many.jsonl"
    assert callable(pack)
    path.write_bytes(pack(lines_of(1_000_000)))
    topic = LocalTopic.ensure(tmp_path / "topics", "events", 1)
    # A packed file is one block or two; then the kill comes at any moment.
    for dots in (5, 3, 2) if pack is bytes else (1, 1, 1):
        killed([str(tmp_path / "topics"), str(path)], dots)
    before = sum(topic.end_offsets())
    added, there, known = taken(ingest(topic, [path], key="id"))
    # What was durable when the kill came, but not yet published, counts as there.
    assert known in ("part", "nothing", "all")
    assert (added + there, there >= before) == (1_000_000, True)
    assert b"\n".join(values(topic)) + b"\n" == lines_of(1_000_000)


def test_a_killed_pipe_goes_on_and_a_finished_one_is_new_input(tmp_path: Path) -> None:
    directory = str(tmp_path / "topics")
    topic = LocalTopic.ensure(tmp_path / "topics", "events", 1)
    path = tmp_path / "many.jsonl"
    path.write_bytes(lines_of(1_000_000))

    def piped(content: Path) -> int:
        with subprocess.Popen(["cat", str(content)], stdout=subprocess.PIPE) as cat:
            child = subprocess.run(
                [sys.executable, "-c", CHILD, directory, "-"],
                stdin=cat.stdout,
                capture_output=True,
                check=True,
            )
        return int(child.stdout.split()[-1])

    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, directory, "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    assert child.stdin is not None
    child.stdin.write(lines_of(400_000) + b'{"id":"half')
    child.stdin.flush()
    assert topic.wait([0], 60)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    before = sum(topic.end_offsets())
    assert 0 < before < 1_000_000
    assert piped(path) <= 1_000_000 - before
    small = tmp_path / "small.jsonl"
    small.write_bytes(lines_of(10))
    assert piped(small) == 10
    assert piped(small) == 10
    assert b"\n".join(values(topic)) + b"\n" == lines_of(1_000_000) + lines_of(10) * 2


def test_standard_input_from_a_file_is_that_file(tmp_path: Path) -> None:
    path = tmp_path / "few.jsonl"
    path.write_bytes(lines_of(10))
    added = []
    for _ in range(2):
        with path.open("rb") as file:
            child = subprocess.run(
                [sys.executable, "-c", CHILD, str(tmp_path / "topics"), "-"],
                stdin=file,
                capture_output=True,
                check=True,
            )
        added.append(int(child.stdout.split()[-1]))
    assert added == [10, 0]


def test_what_trickles_through_a_pipe_is_there_at_once(tmp_path: Path) -> None:
    topic = LocalTopic.ensure(tmp_path / "topics", "events", 1)
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(tmp_path / "topics"), "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert child.stdin is not None
    for number in range(3):
        child.stdin.write(lines_of(1, number))
        child.stdin.flush()
        assert topic.wait([number], 10)
    child.stdin.close()
    assert child.wait(10) == 0
    assert values(topic) == lines_of(3).splitlines()


def test_a_named_pipe_is_read_once(tmp_path: Path) -> None:
    topic = LocalTopic.ensure(tmp_path / "topics", "events", 1)
    pipe = tmp_path / "pipe.jsonl"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(lines_of(10),))
    writer.start()
    assert ingest(topic, [pipe], key=None).added == 10
    writer.join()
    assert values(topic) == lines_of(10).splitlines()
