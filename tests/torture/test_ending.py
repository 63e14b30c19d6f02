"""Whatever ends a run of trials, nothing that they have begun is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from multiprocessing import get_context
from multiprocessing.context import SpawnProcess
from pathlib import Path

import pytest

from tests.torture.course import tried

_ROOT = Path(__file__).resolve().parents[2]
_SECONDS_MAX = 120.0


def test_whoever_is_told_to_end_ends_its_trials(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.torture", "--part", "texts", "--no-page", "--processes", "1"],
        cwd=_ROOT,
        env=os.environ | {"TMPDIR": str(tmp_path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until = time.monotonic() + _SECONDS_MAX
        while not list(tmp_path.glob("headrace-trial-*/headrace-texts-*")):
            assert process.poll() is None and time.monotonic() < until, "no trial was begun"
            time.sleep(0.05)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        process.terminate()
        assert process.wait(_SECONDS_MAX) == 1
        assert children and not [child for child in children if Path(f"/proc/{child}").exists()]
        assert not list(tmp_path.glob("headrace-trial-*"))
    finally:
        process.kill()
        process.wait()


def test_what_a_trial_holds_when_it_fails_is_ended(tmp_path: Path) -> None:
    held: list[SpawnProcess] = []

    def trial(seed: int, directory: Path) -> Mapping[str, int]:
        process = get_context("spawn").Process(target=signal.pause)
        process.start()
        held.append(process)
        assert process.pid is not None
        os.kill(process.pid, signal.SIGSTOP)
        raise AssertionError("found")

    with pytest.raises(AssertionError, match="found"):
        tried(trial, 1, tmp_path)
    held[0].join(_SECONDS_MAX)
    assert held[0].exitcode == -signal.SIGKILL
