"""What is made durable: every name on the way to a new directory."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from headrace.storage.durable import make_directory
from headrace.storage.topics.directory import make


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files and directories that were synced, in order."""
    seen: list[Path] = []
    real = os.fsync

    def noting(descriptor: int) -> None:
        seen.append(Path(f"/proc/self/fd/{descriptor}").readlink())
        real(descriptor)

    monkeypatch.setattr(os, "fsync", noting)
    return seen


def test_each_new_directory_is_named_durably(tmp_path: Path, synced: list[Path]) -> None:
    make_directory(tmp_path / "a" / "b")
    assert set(synced) == {tmp_path, tmp_path / "a"}
    synced.clear()
    make_directory(tmp_path / "a" / "b")
    assert not synced


def test_the_first_topic_is_there_after_a_power_cut(tmp_path: Path, synced: list[Path]) -> None:
    topics = tmp_path / "data" / "topics"
    assert make(topics, "clicks", 2, 0)
    assert {tmp_path, tmp_path / "data", topics} <= set(synced)
