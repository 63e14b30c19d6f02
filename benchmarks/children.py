"""Each measurement is a process of its own, watched from outside: wall, CPU, memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.sizes import ROOT

_SAMPLE_SECONDS = 0.02


class MeasurementFailed(Exception):
    """A measured process ended with an error."""


@dataclass(frozen=True)
class Ended:
    """What a process used. `anonymous_mib` is its own memory, without mapped files, sampled.

    `other_cores` is what the rest of the machine used meanwhile, in cores: noise. `report` is
    the JSON that the process wrote to standard output.
    """

    wall_seconds: float
    cpu_seconds: float
    peak_mib: float
    anonymous_mib: float
    other_cores: float
    report: Any


def python(module: str, *arguments: object) -> Ended:
    """Runs a module of the benchmarks."""
    return run([sys.executable, "-m", module, *map(str, arguments)])


def headrace(*arguments: object) -> Ended:
    """Runs one command line of Headrace with `--json`."""
    command = str(Path(sys.executable).with_name("headrace"))
    return run([command, *map(str, arguments), "--json"])


def run(command: list[str]) -> Ended:
    """Runs `command` to its end; MeasurementFailed with its last words when that is an error."""
    errors = ROOT / "build" / "bench-stderr.txt"
    errors.parent.mkdir(exist_ok=True)
    begun, busy = time.perf_counter(), _busy_seconds()
    with errors.open("wb") as to:
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=to, cwd=ROOT)
        assert child.stdout is not None
        os.set_blocking(child.stdout.fileno(), False)
        output, anonymous = b"", 0
        while True:
            output += child.stdout.read() or b""
            anonymous = max(anonymous, _anonymous_kib(child.pid))
            ended, status, used = os.wait4(child.pid, os.WNOHANG)
            if ended:
                break
            time.sleep(_SAMPLE_SECONDS)
        wall = time.perf_counter() - begun
        child.returncode = os.waitstatus_to_exitcode(status)
        output += child.stdout.read() or b""
        child.stdout.close()
    if child.returncode != 0:
        words = errors.read_text(errors="replace")[-2000:]
        raise MeasurementFailed(f"{' '.join(command)}: exit {child.returncode}\n{words}")
    peak_kib = used.ru_maxrss / (1024 if sys.platform == "darwin" else 1)
    report = json.loads(output) if output.strip() else None
    cpu = used.ru_utime + used.ru_stime
    others = max(0.0, _busy_seconds() - busy - cpu) / wall
    return Ended(wall, cpu, peak_kib / 1024, anonymous / 1024, others, report)


def _busy_seconds() -> float:
    """CPU time of the whole machine since its start, stolen time included; 0 where unknown."""
    try:
        fields = Path("/proc/stat").read_text().splitlines()[0].split()[1:9]
    except OSError:
        return 0.0
    user, nice, system, _idle, _waiting, irq, soft_irq, steal = map(int, fields)
    ticks = user + nice + system + irq + soft_irq + steal
    return ticks / os.sysconf("SC_CLK_TCK")


def _anonymous_kib(pid: int) -> int:
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1])
    except OSError:
        pass
    return 0
