"""A reset that is killed between any two of its steps is given again, and nothing is lost."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from headrace.cli.main import call
from headrace.values.points import VARIABLE
from tests.faults.activity_runs import check_same, result, run
from tests.faults.conftest import Undisturbed

_JOB = Path("jobs/activity")


def _killed(point: str, *command: str) -> None:
    """Gives a command of `headrace` that dies at `point`."""
    done = subprocess.run(
        [sys.executable, "-m", "headrace", *command],
        env=os.environ | {VARIABLE: point},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == -9, f"{point} was never reached: {done.stderr}"


def _go_on(reset: tuple[str, ...], follow: str, data: Path) -> None:
    """What users do next: `follow`, and the reset where a run asks for it."""
    if follow == "the reset again":
        assert call([*reset]) == 0
    done = run(data)
    if done.returncode == 5:
        assert "headrace state reset APP" in done.stderr
        assert call([*reset]) == 0
        done = run(data)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("follow", ["the reset again", "a run"])
@pytest.mark.parametrize(
    "point",
    ["state.moved.aside", "state.moved.aside:2", "state.created", "state.before_commit"],
)
def test_of_a_state_that_is_damaged(
    point: str, follow: str, small: Undisturbed, tmp_path: Path
) -> None:
    data = small.copy(tmp_path / "d")
    assert run(data, "state.committed:4").returncode == -9
    there = {p.name: p.read_bytes() for p in (data / _JOB).glob("job.duckdb*")}
    assert len(there) == 2, "the state has a log"
    with (data / _JOB / "job.duckdb").open("r+b") as file:
        file.write(b"damaged" * 2000)
    there["job.duckdb"] = (data / _JOB / "job.duckdb").read_bytes()
    reset = ("state", "reset", "activity", "--yes", "--data", str(data))
    _killed(point, *reset)
    _go_on(reset, follow, data)
    check_same(result(data), small.result)
    aside = {p.name: p.read_bytes() for p in (data / _JOB).glob("*.damaged")}
    assert aside == {f"{name}.damaged": content for name, content in there.items()}


@pytest.mark.parametrize("follow", ["the reset again", "a run"])
@pytest.mark.parametrize("point", ["lake.moved.aside", "state.before_commit", "state.committed"])
def test_with_new_lakes(point: str, follow: str, small: Undisturbed, tmp_path: Path) -> None:
    data = small.finished(tmp_path / "d")
    before = sorted(p.name for p in (data / "lakes").iterdir())
    reset = ("state", "reset", "activity", "--new-lakes", "--yes", "--data", str(data))
    _killed(point, *reset)
    _go_on(reset, follow, data)
    check_same(result(data), small.result)
    assert sorted(p.name for p in (data / "lakes").iterdir()) == before
    kept = [p for p in (data / "former-lakes").iterdir() if (p / "_delta_log").is_dir()]
    assert {p.name.rpartition(".")[0] for p in kept} <= set(before) and kept
