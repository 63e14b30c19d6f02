"""What was answered for is there after a power cut, also where the disk refused a sync before."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from headrace.storage.lake.lake import DeltaLake
from headrace.values.errors import DiskRefused
from tests.storage.lake.lakes import JOB, delta_rows, event, events, lake, mark, ordered, rows

# The events from here on are of one day, so that their files are put together.
FIRST = 60


class Disk:
    """Which files of a lake's log a power cut would leave, and what refuses to sync them."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self.refuses: Callable[[str, str], bool] = lambda step, name: False
        self._contents: dict[str, bytes] = {}
        self._names: set[str] = set()

    def opened(self, path: str | Path) -> None:
        if self.refuses("open", Path(path).name):
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE), str(path))

    def synced(self, descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        if self.refuses("sync", path.name):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        if path == self.log:
            self._names = {inside.name for inside in path.iterdir()}
        elif path.parent == self.log:
            self._contents[path.name] = path.read_bytes()

    def cut(self) -> None:
        """Leaves of the log what was synced: without that a name is gone, a file empty."""
        for path in self.log.iterdir():
            if path.name in self._names:
                path.write_bytes(self._contents.get(path.name, b""))
            else:
                path.unlink()


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    made = Disk(tmp_path / "lake" / "_delta_log")
    open_, fsync = os.open, os.fsync

    def opening(path: str | Path, flags: int, *rest: int, **options: int) -> int:
        if flags in (os.O_RDONLY, os.O_RDONLY | os.O_DIRECTORY):
            made.opened(path)
        return open_(path, flags, *rest, **options)

    def syncing(descriptor: int) -> None:
        made.synced(descriptor)
        fsync(descriptor)

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", opening)
        patched.setattr(os, "fsync", syncing)
        yield made


def commit_name(version: int) -> str:
    return f"{version:020}.json"


def batch(epoch: int) -> pa.Table:
    return events(FIRST + (epoch - 1) * 10, 10)


def deliver(target: DeltaLake, epoch: int) -> int:
    """Delivers ten rows as a job does, again until they are taken; returns how often refused."""
    for refused in range(3):
        try:
            assert target.deliver(batch(epoch), mark(epoch)) == 10
            return refused
        except DiskRefused:
            continue
    raise AssertionError("refused for ever")


def holds(directory: Path, epochs: int) -> None:
    # Delta reads on behind an empty one, without a word.
    assert all(path.stat().st_size for path in (directory / "_delta_log").glob("*.json"))
    assert lake(directory).open(JOB, 9) == mark(epochs)
    wanted = ordered([event(FIRST + n) for n in range(epochs * 10)])
    assert rows(directory) == delta_rows(directory) == wanted


@pytest.mark.parametrize("step", ["open", "sync"])
@pytest.mark.parametrize("what", ["file", "directory"])
@pytest.mark.parametrize("more", [0, 1])
def test_a_delivery_whose_sync_was_refused_is_synced_when_it_is_answered_for(
    disk: Disk, step: str, what: str, more: int
) -> None:
    directory = disk.log.parent
    target = lake(directory)
    target.open(JOB, 1)
    deliver(target, 1)
    here = commit_name(2) if what == "file" else disk.log.name
    left = [1]
    disk.refuses = lambda at, name: (at, name) == (step, here) and bool(left) and left.pop() == 1
    assert deliver(target, 2) == 1
    for epoch in range(3, 3 + more):
        assert deliver(target, epoch) == 0
    disk.cut()
    holds(directory, 2 + more)


@pytest.mark.parametrize("version", range(1, 12))
def test_whichever_commit_it_is_none_after_it_counts_without_it(disk: Disk, version: int) -> None:
    """The ninth puts the small files together, and nobody waits for that one."""
    directory = disk.log.parent
    target = lake(directory)
    target.open(JOB, 1)
    left = [1]
    here = ("open", commit_name(version))
    disk.refuses = lambda *asked: asked == here and bool(left) and left.pop() == 1
    for epoch in range(1, 11):
        deliver(target, epoch)
    assert not left
    assert (directory / "_delta_log" / commit_name(11)).exists()
    disk.cut()
    holds(directory, 10)


def test_a_start_syncs_what_the_one_before_could_not(disk: Disk) -> None:
    """The ninth commit puts files together; what follows it was written before the start."""
    directory = disk.log.parent
    target = lake(directory)
    target.open(JOB, 1)
    disk.refuses = lambda step, name: (step, name) == ("open", commit_name(9))
    for epoch in range(1, 9):
        assert deliver(target, epoch) == 0
    with pytest.raises(DiskRefused):
        target.deliver(batch(9), mark(9))
    disk.refuses = lambda step, name: False
    again = lake(directory)
    assert again.open(JOB, 2) == mark(9)
    deliver(again, 10)
    disk.cut()
    holds(directory, 10)
