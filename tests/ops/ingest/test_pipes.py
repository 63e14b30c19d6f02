"""Standard input: which of several pipes this one goes on with, and files without a name."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from headrace.ops.ingest.writers import lives, present
from headrace.storage.topics.log import LocalTopic
from tests.ops.ingest.test_ingest import CHILD, lines_of
from tests.ops.ingest.topics import values


@pytest.fixture
def topic(tmp_path: Path) -> LocalTopic:
    return LocalTopic.ensure(tmp_path / "topics", "events", 1)


def reader(topic: LocalTopic) -> subprocess.Popen[bytes]:
    """An ingest from a pipe, which is still open."""
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, str(topic.path.parent), "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )


def give(child: subprocess.Popen[bytes], content: bytes) -> None:
    assert child.stdin is not None
    child.stdin.write(content)
    child.stdin.flush()


def added(child: subprocess.Popen[bytes]) -> int:
    """What it has added once its input ended."""
    out, _ = child.communicate()
    assert child.returncode == 0
    return int(out.split()[-1])


def test_what_never_pauses_is_there_soon(topic: LocalTopic) -> None:
    """Nobody knows when a live pipe will have given as much as is best appended at once."""
    child, ended, given = reader(topic), threading.Event(), list[bytes]()

    def feed() -> None:
        while not ended.wait(0.005):
            line = lines_of(1, len(given))
            give(child, line)
            given.append(line)

    feeder = threading.Thread(target=feed)
    feeder.start()
    try:
        for count in (0, 20, 40):
            assert topic.wait([count], 60)
    finally:
        ended.set()
        feeder.join()
    assert added(child) == len(given)
    assert values(topic) == b"".join(given).splitlines()


def test_a_line_shorter_than_a_mark_of_compression_is_there_at_once(topic: LocalTopic) -> None:
    child = reader(topic)
    give(child, b"1\n")
    assert topic.wait([0], 60)
    assert added(child) == 1


def test_an_error_of_the_topic_is_told_though_nothing_more_comes(topic: LocalTopic) -> None:
    child = reader(topic)
    give(child, b'{"id":1}\n')
    assert topic.wait([0], 60)
    shutil.rmtree(topic.path)
    try:
        give(child, b'{"id":2}\n')
        assert child.wait(60) == 1
    finally:
        child.kill()
        child.communicate()


def test_each_of_several_killed_pipes_goes_on(topic: LocalTopic) -> None:
    contents = [lines_of(300), lines_of(20, 5_000), lines_of(100, 9_000)]
    for content in contents:
        child, before = reader(topic), topic.end_offsets()
        give(child, content)
        assert topic.wait(before, 60)
        os.kill(child.pid, signal.SIGKILL)
        child.communicate()
    assert len(values(topic)) == 420
    for content in reversed(contents):
        child = reader(topic)
        give(child, content + lines_of(1, 77))
        assert added(child) == 1
    assert len(values(topic)) == 423
    # All of them are finished now: the same once more is new input.
    child = reader(topic)
    give(child, contents[1])
    assert added(child) == 20


def test_a_pipe_that_is_being_read_is_not_gone_on_with(topic: LocalTopic) -> None:
    """Two that begin alike are two, as long as both are there."""
    first, second = reader(topic), reader(topic)
    give(first, b'{"hello":1}\n')
    assert topic.wait([0], 60)
    give(second, b'{"hello":1}\n')
    assert topic.wait([1], 60)
    give(second, b'{"from":"b"}\n')
    assert added(second) == 2
    give(first, b'{"from":"a"}\n')
    assert added(first) == 2
    assert sorted(values(topic)) == [b'{"from":"a"}', b'{"from":"b"}', *[b'{"hello":1}'] * 2]


def test_a_process_is_known_by_when_it_began() -> None:
    child = subprocess.Popen(["sleep", "60"])
    host, _, begun = present().rsplit(" ", 2)
    try:
        named = f"{host} {child.pid} "
        there = Path(f"/proc/{child.pid}/stat")
        if there.exists():
            ticks = there.read_text().rpartition(")")[2].split()[19]
            assert lives(named + ticks)
            assert not lives(named + "1"), "its number was given again"
    finally:
        child.kill()
        child.wait()
    assert not lives(present()), "it asks for others"
    assert not any(map(lives, ("", "elsewhere 1 2", f"{host} x {begun}", named + "?")))


def test_standard_input_from_a_file_without_a_name(topic: LocalTopic) -> None:
    """As a here-document may be: there is nothing to be opened again."""
    with tempfile.TemporaryFile() as file:
        file.write(lines_of(10))
        file.seek(0)
        child = subprocess.run(
            [sys.executable, "-c", CHILD, str(topic.path.parent), "-"],
            stdin=file,
            capture_output=True,
            check=True,
        )
    assert int(child.stdout.split()[-1]) == 10
    assert len(values(topic)) == 10
