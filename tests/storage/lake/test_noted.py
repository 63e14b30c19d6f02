"""A lake's log in which a bit has flipped: never other rows, never another mark."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from headrace import StateRefused
from headrace.storage.contract import Mark
from headrace.storage.lake import cleanup
from headrace.storage.lake.lake import DeltaLake
from headrace.storage.lake.log import LAST_CHECKPOINT
from headrace.storage.lake.reading import read_mark
from tests.storage.lake.lakes import JOB, events, lake, mark, rows

_BYTES_APART = 23


@pytest.fixture
def target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DeltaLake:
    """A lake with a checkpoint and a few commits behind it."""
    monkeypatch.setattr(cleanup, "_CHECKPOINT_COMMITS", 4)
    target = lake(tmp_path / "lake")
    target.open(JOB, 1)
    for epoch in range(1, 6):
        target.deliver(events(epoch * 2, 2), mark(epoch))
    return target


@contextmanager
def flipped(path: Path, at: int) -> Iterator[None]:
    whole = path.read_bytes()
    path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1 :])
    yield
    path.write_bytes(whole)


def seen(target: DeltaLake) -> tuple[object, Mark | None]:
    return rows(target.directory), read_mark(target.directory, JOB)


def test_every_byte_counts(target: DeltaLake) -> None:
    wanted, log = seen(target), target.directory / "_delta_log"
    refused = set()
    for path in sorted(log.iterdir()):
        for at in range(0, path.stat().st_size, _BYTES_APART):
            with flipped(path, at):
                try:
                    assert seen(target) == wanted, (path.name, at)
                except StateRefused as error:
                    assert str(path) in str(error) or path.name == LAST_CHECKPOINT
                    assert str(log) in str(error) and error.remedy
                    refused.add(path.name)
    [checkpoint] = (path.name for path in log.glob("*.checkpoint.parquet"))
    assert {checkpoint, f"{5:020}.json"} <= refused


def test_what_is_noted_of_the_log_refuses_nothing_by_itself(target: DeltaLake) -> None:
    wanted, path = seen(target), target.directory / "_delta_log" / "_headrace_digests"
    whole = path.read_bytes()
    for content in (b"", b"\0" * len(whole), whole[:-9], whole[9:], None):
        path.unlink() if content is None else path.write_bytes(content)
        assert seen(target) == wanted


@pytest.mark.parametrize("name", [f"{3:020}.checkpoint.parquet", LAST_CHECKPOINT])
def test_the_writer_does_without_a_damaged_checkpoint(target: DeltaLake, name: str) -> None:
    wanted, path = rows(target.directory), target.directory / "_delta_log" / name
    for at in (1, 10, 20):
        content = bytearray(path.read_bytes())
        content[at] ^= 1
        path.write_bytes(content)
    assert lake(target.directory).open(JOB, 2) == mark(5)
    assert rows(target.directory) == wanted
    if name != LAST_CHECKPOINT:
        # There may be no other: it is put aside, as it is.
        assert path.with_name(f"{name}.damaged").read_bytes() == content


def test_a_damaged_last_commit_is_not_taken_for_a_torn_one(target: DeltaLake) -> None:
    path = target.directory / "_delta_log" / f"{5:020}.json"
    content = path.read_bytes()
    for torn in (content[:100], b"", b"x" + content[1:]):
        path.write_bytes(torn)
        with pytest.raises(StateRefused, match=f"{path}, is not what was written"):
            lake(target.directory).open(JOB, 2)
        assert path.read_bytes() == torn


def test_a_torn_commit_is_named_without_a_digest(target: DeltaLake) -> None:
    log = target.directory / "_delta_log"
    path = log / f"{2:020}.json"
    (log / "_headrace_digests").unlink()
    for checkpoint in log.glob("*checkpoint*"):
        checkpoint.unlink()
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(StateRefused, match=f"{path}, is damaged"):
        seen(target)


def test_lines_go_with_their_files(target: DeltaLake) -> None:
    for epoch in range(6, 60):
        target.deliver(events(epoch * 2, 2), mark(epoch))
    log = target.directory / "_delta_log"
    cleanup.remove_old_log(target.directory, 60, -1)
    lines = (log / "_headrace_digests").read_text().splitlines()
    there = {path.name for path in log.iterdir()}
    assert {line.split()[0] for line in lines} == there - {"_headrace_digests", LAST_CHECKPOINT}
    assert len(there) < 20
