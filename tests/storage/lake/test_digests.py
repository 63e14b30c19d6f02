"""Data files know what was written: one flipped bit, and nothing is derived from them."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from headrace import DiskRefused, StateRefused
from headrace.storage.lake.compaction import FILES_MIN
from headrace.storage.lake.digests import check_files
from headrace.storage.lake.reading import live_files, relation_sql
from tests.storage.lake.lakes import JOB, data_files, delta_rows, event, events, lake, mark, ordered


def flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def test_every_byte_counts(tmp_path: Path) -> None:
    target = lake(tmp_path / "lake")
    target.open(JOB, 1)
    target.deliver(events(0, 50), mark(1))
    [path] = set(live_files(target.directory)) & set(data_files(target.directory))
    for at in range(0, path.stat().st_size, 7):
        flip(path, at)
        with pytest.raises(StateRefused, match=r"(?s)is not what was written.*a backup") as refused:
            relation_sql(target.directory)
        assert str(path) in str(refused.value)
        flip(path, at)
    relation_sql(target.directory)
    os.truncate(path, path.stat().st_size - 1)
    with pytest.raises(StateRefused, match="is not what was written"):
        check_files([path])
    path.unlink()
    with pytest.raises(StateRefused, match="it is gone"):
        check_files([path])


def test_what_cannot_be_read_is_not_called_damaged(tmp_path: Path) -> None:
    target = lake(tmp_path / "lake")
    target.open(JOB, 1)
    target.deliver(events(0, 50), mark(1))
    [path] = data_files(target.directory)
    path.unlink()
    path.mkdir()
    with pytest.raises(DiskRefused, match="Is a directory"):
        check_files([path])


def test_a_file_of_the_first_days_has_no_digest(tmp_path: Path) -> None:
    path = tmp_path / "headrace-1-123456789012-0123456789ab.parquet"
    path.write_bytes(b"anything")
    check_files([path, tmp_path / "part-00000-0123456789ab-0123456789abcdef.parquet"])


def test_compaction_leaves_a_damaged_file_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    target = lake(tmp_path / "lake")
    target.open(JOB, 1)
    target.deliver(events(0, 2), mark(1))
    [path] = data_files(target.directory)
    flip(path, path.stat().st_size // 2)
    with caplog.at_level(logging.WARNING, "headrace"):
        for epoch in range(2, FILES_MIN + 1):
            target.deliver(events(epoch * 2, 2), mark(epoch))
    assert f"{path} is damaged" in caplog.text
    flip(path, path.stat().st_size // 2)
    assert len(live_files(target.directory)) == FILES_MIN
    for epoch in range(FILES_MIN + 1, 2 * FILES_MIN + 1):
        target.deliver(events(epoch * 2, 2), mark(epoch))
    assert len(live_files(target.directory)) < FILES_MIN
    numbers = [0, 1, *range(4, 2 * (2 * FILES_MIN + 1))]
    assert delta_rows(target.directory) == ordered([event(n) for n in numbers])
