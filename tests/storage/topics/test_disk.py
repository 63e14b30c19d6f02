"""A disk that refuses: said in words, nothing changed, and it goes on once it is mended."""

from __future__ import annotations

import errno
import fcntl
import io
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from headrace.storage.topics import disk, writer
from headrace.storage.topics.log import LocalTopic
from headrace.storage.topics.writer import Limits
from headrace.values.errors import DiskRefused
from tests.storage.topics.model import SMALL_SEGMENTS, read_all, segment_files, values_of


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Path]:
    """A file system of one mebibyte."""
    directory = tmp_path / "tiny"
    directory.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(directory)]
    try:
        if subprocess.run(command, capture_output=True).returncode:
            pytest.skip("mounting a small file system needs root")
    except FileNotFoundError:
        pytest.skip("this system has no mount command")
    yield directory
    subprocess.run(["umount", "-l", str(directory)], check=True)


@pytest.mark.parametrize("limits", [Limits(), Limits(segment_bytes=50_000)])
def test_a_full_disk(tiny: Path, limits: Limits) -> None:
    topic = LocalTopic.create(tiny, "t", 2, limits=limits)
    added = 0
    with pytest.raises(DiskRefused, match=rf"Cannot write {topic.path}.*the disk is full"):
        while True:
            topic.append(pa.array([b"x" * 20_000] * 2), producer="p", sequence=added)
            added += 1
    assert added > 10
    for again in (topic, LocalTopic.open(tiny, "t", limits=limits)):
        assert again.end_offsets() == [added, added] and len(read_all(again)) == 2 * added
        with pytest.raises(DiskRefused):
            again.append(pa.array([b"x" * 20_000] * 2), producer="p", sequence=added)
        with pytest.raises(DiskRefused):
            again.register_reader("r" * 60_000, [0, 0])
        assert again.readers() == {} and not list(topic.path.glob("*.new"))
        with pytest.raises(DiskRefused):
            LocalTopic.ensure(tiny, "other", 2).append(pa.array([b"x" * 100_000]))
    assert topic.append(pa.array([], pa.binary())).rows == 0
    blocker = segment_files(topic.path)[0]
    if len(segment_files(topic.path)) > 1:
        assert topic.retain(bytes_max=300_000).segments > 0 and not blocker.exists()
    else:
        subprocess.run(["mount", "-o", "remount,size=2m", str(tiny)], check=True)
    landed = topic.append(pa.array([b"x" * 20_000] * 2), producer="p", sequence=added)
    assert landed.base == (added, added) and topic.end_offsets() == [added + 1] * 2
    assert topic.append(pa.array([b"y"]), producer="p", sequence=added).duplicate


LIMITED = """
import resource, signal, sys
from pathlib import Path
import pyarrow as pa
from headrace.storage.topics.log import LocalTopic
from headrace.values.errors import DiskRefused

resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
topic, added = LocalTopic.create(Path(sys.argv[1]), "t", 1), 0
try:
    while True:
        topic.append(pa.array([b"x" * 700]))
        added += 1
except DiskRefused as error:
    print(error.what)
assert len(topic.read([0], records_max=1000)) == added == topic.end_offsets()[0]
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
topic.append(pa.array([b"last"]))
assert topic.read([0], records_max=1000)["value"].to_pylist() == [b"x" * 700] * added + [b"last"]
"""


def test_a_file_that_may_not_grow(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "the file may not grow further" in done.stdout


@pytest.mark.parametrize("step", ["write_at", "sync_data", "publish_head", "begin_segment"])
def test_a_failure_at_any_step_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    topic = LocalTopic.create(tmp_path, "t", 1, limits=SMALL_SEGMENTS)
    values = []
    for number in range(30):
        value = b"%d" % number * 200

        def refuse(*arguments: object) -> None:
            if step == "write_at":
                disk.write_at(arguments[0], [b"half a frame"], arguments[2])  # type: ignore[arg-type]
            raise OSError(28, "No space left on device", "head")

        before = topic.end_offsets(), [path.stat().st_size for path in segment_files(topic.path)]
        files = len(before[1])
        with monkeypatch.context() as patched:
            patched.setattr(writer, step, refuse)
            try:
                topic.append(pa.array([value]), producer="p", sequence=number)
                assert step == "begin_segment", "nothing failed"
            except DiskRefused:
                # A new segment may have been begun before: it holds no rows yet.
                sizes = [path.stat().st_size for path in segment_files(topic.path)[:files]]
                assert (topic.end_offsets(), sizes) == before
        topic.append(pa.array([value]), producer="p", sequence=number)
        values.append(value)
        assert topic.end_offsets() == [number + 1]
    assert values_of(topic) == values_of(LocalTopic.open(tmp_path, "t")) == values


def _closed(descriptor: int) -> None:
    os.close(descriptor)
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def _written(descriptor: int, pieces: Any, position: int) -> None:
    os.pwritev(descriptor, pieces, position)
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def _half_written(descriptor: int, pieces: Any, position: int) -> None:
    half = b"".join(bytes(p) for p in pieces)
    _written(descriptor, [half[: len(half) // 2]], position)


@pytest.mark.parametrize(
    ("call", "refuse"),
    [("close", _closed), ("pwritev", _written), ("pwritev", _half_written)],
    ids=["closed", "written", "half written"],
)
@pytest.mark.parametrize("file", ["head", ".segment"])
@pytest.mark.parametrize("numbered", [True, False])
def test_an_error_behind_what_was_done(
    call: str, refuse: Any, file: str, numbered: bool, tmp_path: Path, monkeypatch: Any
) -> None:
    """What is acknowledged is there; of the rest each append is there whole, or is not."""
    topic = LocalTopic.create(tmp_path, "t", 1, limits=SMALL_SEGMENTS)
    real, seen, acknowledged = getattr(os, call), [], []
    for number in range(30):
        value = b"%03d" % number * 70
        sequence = {"producer": "p", "sequence": number} if numbered else {}

        def guarded(descriptor: int, *more: Any) -> Any:
            target = Path(f"/proc/self/fd/{descriptor}").readlink()
            writes = fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE != os.O_RDONLY
            if writes and str(target).endswith(file):
                patched.undo()
                refuse(descriptor, *more)
            return real(descriptor, *more)

        with monkeypatch.context() as patched:
            patched.setattr(os, call, guarded)
            with suppress(DiskRefused):
                topic.append(pa.array([value]), **sequence)
                acknowledged.append(value)
        # Whoever has read a record reads it again.
        found = values_of(LocalTopic.open(tmp_path, "t"))
        assert found[: len(seen)] == seen
        if numbered:
            topic.append(pa.array([value]), **sequence)
            acknowledged = [*acknowledged[:number], value]
        seen = values_of(LocalTopic.open(tmp_path, "t"))
        assert seen == values_of(topic) and set(acknowledged) <= set(seen)
        assert len(seen) == len(set(seen)) and seen == sorted(seen)
        assert not numbered or len(seen) == number + 1


def test_no_permission(tmp_path: Path) -> None:
    topic = LocalTopic.create(tmp_path, "t", 1)
    topic.append(pa.array([b"a"]))
    if os.geteuid() == 0:
        command = ["mount", "--bind", "-o", "ro", str(topic.path), str(topic.path)]
        if subprocess.run(command, capture_output=True).returncode:
            pytest.skip("as root only a read-only mount takes the permission away")
        try:
            _check_read_only(topic, "the file system is read-only")
        finally:
            subprocess.run(["umount", "-l", str(topic.path)], check=True)
    else:
        for path in [*topic.path.iterdir(), topic.path]:
            path.chmod(0o555 if path.is_dir() else 0o444)
        _check_read_only(topic, "no permission")


def _check_read_only(topic: LocalTopic, reason: str) -> None:
    with pytest.raises(DiskRefused, match=reason):
        topic.append(pa.array([b"b"]))
    with pytest.raises(DiskRefused, match=reason):
        topic.register_reader("r", [0])
    assert values_of(LocalTopic.open(topic.path.parent, "t")) == [b"a"]


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EACCES, "no permission\nGive this user the right to read"),
        (errno.EMFILE, "too many open files\nRaise the limit of open files"),
        (errno.EIO, "Input/output error\nCheck the disk"),
    ],
)
@pytest.mark.parametrize("name", ["head", "000000000000.segment", "topic.json", "readers.json"])
def test_what_cannot_be_opened_for_reading(
    name: str, number: int, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = LocalTopic.create(tmp_path, "t", 1)
    topic.append(pa.array([b"one"]))
    topic.register_reader("r", [0])

    def use() -> object:
        topic = LocalTopic.open(tmp_path, "t")
        return values_of(topic), topic.readers()

    wanted = use()
    with monkeypatch.context() as patched:
        for module, called in ((os, os.open), (io, io.open)):
            patched.setattr(module, "open", partial(_refused, called, name, number))
        with pytest.raises(DiskRefused, match=f"Cannot read {topic.path / name}: {words}"):
            use()
    assert use() == wanted


def _refused(real: Any, name: str, number: int, path: Any, *more: Any, **options: Any) -> Any:
    if str(path).endswith(name):
        raise OSError(number, os.strerror(number), str(path))
    return real(path, *more, **options)
