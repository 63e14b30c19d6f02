"""Programs of the tests as processes of their own, that may be killed at a named point."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from headrace.values.points import VARIABLE

ROOT = Path(__file__).resolve().parents[1]
_SECONDS = 200


def start(module: str, *arguments: object, kill_at: str = "") -> subprocess.Popen[str]:
    """Starts `python -m module`; see `finished`."""
    return subprocess.Popen(
        [sys.executable, "-m", module, *map(str, arguments)],
        cwd=ROOT,
        env=os.environ | {VARIABLE: kill_at},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(process: subprocess.Popen[str]) -> tuple[int, list[str]]:
    """The process's exit code (-9: killed) and the lines it printed; fails with any other."""
    out, problem = process.communicate(timeout=_SECONDS)
    assert process.returncode in (0, -9), problem
    return process.returncode, out.splitlines()
