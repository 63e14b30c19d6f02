"""One simulated log and the result of an undisturbed run over it, for all tests of a session."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults.activity_runs import Result, copied, result, run, write_log


@dataclass(frozen=True)
class Undisturbed:
    """A data directory with a log alone, and what a run over it ends with."""

    log: Path
    whole: Path
    result: Result

    def copy(self, data: Path) -> Path:
        """The log alone, in a directory of its own."""
        return copied(self.log, data)

    def finished(self, data: Path) -> Path:
        """All that the run left, in a directory of its own."""
        return copied(self.whole, data)


@pytest.fixture(scope="session")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Undisturbed]:
    yield from _undisturbed(tmp_path_factory.mktemp("large"), 80_000)


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Undisturbed]:
    yield from _undisturbed(tmp_path_factory.mktemp("small"), 20_000)


def _undisturbed(directory: Path, count: int) -> Iterator[Undisturbed]:
    log = directory / "log"
    told = write_log(log, count)
    whole = copied(log, directory / "whole")
    done = run(whole)
    assert done.returncode == 0, done.stderr
    found = result(whole)
    assert len(found.letters) == told["malformed"]
    assert len(found.lake) == told["accepted"]
    yield Undisturbed(log, whole, found)
    shutil.rmtree(directory)
