"""A job that is killed, whenever and wherever, ends as one that was not."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from headrace.ops.jobs.states import reset
from headrace.values.settings import Settings
from tests.faults.activity_runs import check_same, result, run, start
from tests.faults.conftest import Undisturbed

# In the order in which they can be reached: a lake is created once. The number is how often.
_POINTS = [
    "lake.created",
    "state.before_commit",
    "state.before_commit:4",
    "state.committed",
    "state.committed:4",
    "topic.fenced",
    "topic.appended",
    "topic.appended:3",
    "lake.fenced",
    "lake.file.written:2",
    "lake.files.synced",
    "lake.committed",
    "lake.commit.synced:2",
]


def test_killed_ten_times_at_random(large: Undisturbed, tmp_path: Path) -> None:
    data = large.copy(tmp_path / "d")
    chance = random.Random(11)
    killed = 0
    while killed < 10:
        # Every other run holds the lake's rows back until the end, so that they are made again.
        process = start(data, lake_interval_seconds=10 * (killed % 2))
        killed += _killed_after(process, chance.randint(1, 9), chance.random() * 0.05)
    done = run(data)
    assert done.returncode == 0, done.stderr
    check_same(result(data), large.result)


def test_killed_at_every_point_between_two_durable_steps(
    small: Undisturbed, tmp_path: Path
) -> None:
    data = small.copy(tmp_path / "d")
    for point in _POINTS:
        done = run(data, kill_at=point, settings={"epoch_records_max": 700})
        assert done.returncode == -signal.SIGKILL, f"{point} was not reached: {done.stderr}"
    done = run(data)
    assert done.returncode == 0, done.stderr
    check_same(result(data), small.result)


def test_a_copy_of_the_state_that_went_on_elsewhere_is_refused(
    small: Undisturbed, tmp_path: Path
) -> None:
    """Its epochs have the numbers of those that were delivered here, and other records."""
    data, elsewhere = small.copy(tmp_path / "d"), small.copy(tmp_path / "e")
    run(data, settings={"epoch_records_max": 5000})
    for _ in range(2):  # its start number is greater than any that was here
        run(elsewhere, kill_at="state.committed:7", settings={"epoch_records_max": 700})
    shutil.rmtree(data / "jobs")
    (elsewhere / "jobs").rename(data / "jobs")
    done = run(data)
    assert done.returncode == 5, done.stderr
    assert f"with other records than the state {tmp_path}" in done.stderr


def test_an_older_state_that_is_reset_loses_nothing(small: Undisturbed, tmp_path: Path) -> None:
    """Its epochs count on from lower numbers than those that were delivered."""
    data = small.copy(tmp_path / "d")
    run(data, kill_at="state.committed:5")
    shutil.copytree(data / "jobs", tmp_path / "older")
    run(data, kill_at="lake.committed:12", settings={"epoch_records_max": 700})
    shutil.rmtree(data / "jobs")
    (tmp_path / "older").rename(data / "jobs")
    assert "the state is older than what it delivered" in run(data).stderr
    reset("activity", Settings(data=data))
    done = run(data)
    assert done.returncode == 0, done.stderr
    check_same(result(data), small.result)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_in_the_middle(small: Undisturbed, tmp_path: Path, number: signal.Signals) -> None:
    data = small.copy(tmp_path / "d")
    process = start(data, epoch_records_max=1000)
    assert process.stdout is not None
    epochs = 0
    while epochs < 3:
        epochs += process.stdout.readline().startswith("EpochCommitted")
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert out.splitlines()[-1].startswith("JobStopped")
    middle = result(data)
    assert 0 < len(middle.lake) < len(small.result.lake)
    done = run(data)
    assert done.returncode == 0, done.stderr
    check_same(result(data), small.result)


def _killed_after(process: subprocess.Popen[str], lines: int, seconds: float) -> bool:
    """Kills a run a moment after it has told so many things; False if it had ended by itself."""
    assert process.stdout is not None
    for _ in range(lines):
        process.stdout.readline()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
    process.communicate()
    return process.returncode == -signal.SIGKILL
