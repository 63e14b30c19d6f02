"""Jars are fetched once, whole, by one process at a time; Maven is a script here."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers.jars import fetched
from tests.servers.missing import Missing

ROOT = Path(__file__).resolve().parents[2]
FETCHES = """
import sys
from pathlib import Path
from tests.servers.jars import fetched
print(*sorted(p.name for p in fetched(Path(sys.argv[1])).iterdir()))
"""


@pytest.fixture
def maven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory where a `mvn` can be written that is the first to be found."""
    programs = tmp_path / "programs"
    programs.mkdir()
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    return programs / "mvn"


def write(maven: Path, script: str) -> None:
    maven.write_text(f"#!/bin/sh\n{script}")
    maven.chmod(0o755)


def test_two_processes_fetch_once(maven: Path, tmp_path: Path) -> None:
    calls, cache = tmp_path / "calls", tmp_path / "cache"
    into = 'for last; do :; done; into="${last#-DoutputDirectory=}"'
    write(maven, f'{into}\necho x >> {calls}\nmkdir "$into"; sleep 0.3; touch "$into/a.jar"\n')
    command = [sys.executable, "-c", FETCHES, str(cache)]
    both = [
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    assert [process.communicate()[0] for process in both] == ["a.jar\n", "a.jar\n"]
    assert calls.read_text() == "x\n"
    assert len([path for path in cache.iterdir() if path.is_dir()]) == 1


def test_a_failed_fetch_is_no_cache(maven: Path, tmp_path: Path) -> None:
    write(maven, "echo 'Unknown host'; exit 1\n")
    with pytest.raises(Missing, match="(?s)is there a network.*Unknown host"):
        fetched(tmp_path / "cache")
    assert not [path for path in (tmp_path / "cache").iterdir() if path.is_dir()]


def test_without_maven_the_way_to_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Missing, match="apt-get install maven"):
        fetched(tmp_path / "cache")
