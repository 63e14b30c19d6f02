"""A disk that is full, a directory that may not be written, a job that is taken: said in words."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.activity_runs import ROOT, check_same, environment, result, run
from tests.faults.conftest import Undisturbed


def test_a_full_disk(small: Undisturbed, tmp_path: Path) -> None:
    command = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(tmp_path)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("mounting a small file system needs root")
    try:
        data = small.copy(tmp_path / "d")
        done = run(data)
        assert done.returncode == 5, done.stderr
        assert done.stderr.startswith("DiskRefused: ")
        assert os.strerror(errno.ENOSPC) in done.stderr
        assert "nothing is lost" in done.stderr
        subprocess.run(["mount", "-o", "remount,size=200m", str(tmp_path)], check=True)
        done = run(data)
        assert done.returncode == 0, done.stderr
        check_same(result(data), small.result)
    finally:
        subprocess.run(["umount", "-l", str(tmp_path)], check=True)


def test_a_file_that_may_not_grow(small: Undisturbed, tmp_path: Path) -> None:
    import resource

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))

    data = small.copy(tmp_path / "d")
    done = run(data, preexec_fn=limited)
    assert done.returncode == 5, done.stderr
    assert done.stderr.startswith("DiskRefused: ")
    done = run(data)
    assert done.returncode == 0, done.stderr
    check_same(result(data), small.result)


def test_directories_that_may_not_be_used(small: Undisturbed, tmp_path: Path) -> None:
    data = small.copy(tmp_path / "d")
    (data / "jobs").mkdir()
    for part, mode in (("jobs", 0o555), ("jobs/activity", 0o555), ("topics/user_activity", 0)):
        closed = data / part
        before = closed.stat().st_mode
        closed.chmod(mode)
        done = run(data, through=_without_privilege())
        closed.chmod(before)
        assert done.returncode == 5, done.stderr
        assert done.stderr.startswith(("DiskRefused: ", "TopicRefused: "))
        assert str(closed) in done.stderr
        assert any(words in done.stderr for words in ("no permission", os.strerror(errno.EACCES)))
        assert "Traceback" not in done.stderr
        (data / "jobs" / "activity").mkdir(exist_ok=True)
    done = run(data)
    assert done.returncode == 0, done.stderr
    check_same(result(data), small.result)


def _without_privilege() -> list[str]:
    """What a command is started through, so that root too may only what the modes allow."""
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("root may write everything here, and there is no setpriv")
    return ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]


def test_a_second_run_of_the_same_job(small: Undisturbed, tmp_path: Path) -> None:
    data = small.copy(tmp_path / "d")
    command = [sys.executable, "-m", "headrace.cli", "run", "activity", "--data", str(data)]
    first = subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment(),
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert first.stderr is not None
        assert '"event": "job_started"' in first.stderr.readline()
        second = subprocess.run(
            command, cwd=ROOT, env=environment(), capture_output=True, text=True
        )
        assert second.returncode == 5
        assert "job 'activity' is held by `" in second.stderr
        assert f"(process {first.pid}, since " in second.stderr
        assert "Stop it (Ctrl-C there), or wait until it is done." in second.stderr
    finally:
        first.send_signal(signal.SIGTERM)
        first.communicate(timeout=60)
    assert first.returncode == 0
    assert run(data).returncode == 0
    check_same(result(data), small.result)
