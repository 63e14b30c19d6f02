"""A file that a bad disk cut, changed or lost: refused in words that name it and the way on."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from headrace import StateRefused
from headrace.apps.activity import app
from headrace.cli.main import call
from tests.faults.activity_runs import run
from tests.faults.conftest import Undisturbed

_COMMIT = "lakes/activity/_delta_log/00000000000000000000.json"


def test_a_commit_of_a_lake_that_is_gone(small: Undisturbed, tmp_path: Path) -> None:
    data = small.finished(tmp_path / "d")
    (data / _COMMIT).unlink()
    done = run(data)
    assert done.returncode == 5, done.stderr
    assert str((data / _COMMIT).parent) in done.stderr and "is damaged" in done.stderr
    assert "from a backup" in done.stderr


@pytest.mark.parametrize("command", ["verify", "recompute"])
def test_a_bit_of_a_lake(
    command: str, small: Undisturbed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Most of them decode, as other values: a recompute would then "correct" what is right.
    data = small.finished(tmp_path / "d")
    path = max((data / "lakes").rglob("headrace-*.parquet"), key=lambda p: p.stat().st_size)
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 4
    path.write_bytes(content)
    assert call([command, "activity", "--data", str(data)]) == 5
    said = "".join(capsys.readouterr().err.split())
    assert str(path) in said and "isnotwhatwaswritten" in said and "fromabackup" in said


@pytest.mark.parametrize("how", ["cut", "flipped", "missing"])
def test_a_data_file_of_a_lake(how: str, small: Undisturbed, tmp_path: Path) -> None:
    data = small.finished(tmp_path / "d")
    path = max((data / "lakes").rglob("*.parquet"), key=lambda p: p.stat().st_size)
    if how == "cut":
        os.truncate(path, path.stat().st_size - 1)
    elif how == "flipped":
        path.write_bytes(path.read_bytes()[:-4] + b"QAR1")
    else:
        path.unlink()
    with pytest.raises(StateRefused, match=r"(?s)is damaged or missing.*from a backup") as refused:
        app.verify(data=data)
    assert str(path) in str(refused.value)


def test_a_state_whose_blocks_are_not_what_they_were(small: Undisturbed, tmp_path: Path) -> None:
    data = small.finished(tmp_path / "d")
    path = data / "jobs" / "activity" / "job.duckdb"
    content = bytearray(path.read_bytes())
    # Behind the headers, so that it opens.
    for at in range(1 << 18, len(content), 1 << 12):
        content[at] ^= 1
    path.write_bytes(content)
    with pytest.raises(StateRefused, match=r"(?s)job\.duckdb.*headrace state reset APP"):
        app.verify(data=data)
