"""Each measurement is a process of its own, watched from outside: wall, CPU, memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.cores import usable
from benchmarks.process_tree import Tree, adopt_orphans, status_kib
from benchmarks.sizes import ROOT

# No run of ours takes a tenth of it, but for the long form: one that hangs ends at last.
OURS_SECONDS_MAX = 3_600.0
_SAMPLE_SECONDS, _TREE_SAMPLE_SECONDS = 0.02, 0.1


class MeasurementFailed(Exception):
    """A measured process ended with an error."""


@dataclass(frozen=True)
class Ended:
    """What a process used. `anonymous_mib` is its own memory, without mapped files, sampled.

    `system_seconds` of its CPU were in the kernel, without those of what it started. `other_cores`
    is what others used meanwhile of the cores that it may use: noise. `report` is the JSON that the
    process wrote to standard output.
    """

    wall_seconds: float
    cpu_seconds: float
    system_seconds: float
    peak_mib: float
    anonymous_mib: float
    other_cores: float
    report: Any


def python(module: str, *arguments: object, seconds_max: float = OURS_SECONDS_MAX) -> Ended:
    """Runs a module of the benchmarks."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    return run(command, seconds_max=seconds_max)


def headrace(*arguments: object) -> Ended:
    """Runs one command line of Headrace with `--json`."""
    command = str(Path(sys.executable).with_name("headrace"))
    return run([command, *map(str, arguments), "--json"])


def tree(command: list[str], environment: Mapping[str, str], seconds_max: float) -> Ended:
    """Runs a program with all that it starts; its report is the last line that it writes.

    Memory is summed over the processes and sampled, CPU is of all of them.
    """
    adopt_orphans()
    return run(command, environment=environment, seconds_max=seconds_max, descendants=True)


def run(
    command: list[str],
    *,
    environment: Mapping[str, str] | None = None,
    seconds_max: float = OURS_SECONDS_MAX,
    descendants: bool = False,
) -> Ended:
    """Runs `command` to its end; MeasurementFailed with its last words when that is an error.

    So it is where it takes longer than `seconds_max`, or writes something that is no report.
    """
    errors = ROOT / "build" / "bench-stderr.txt"
    errors.parent.mkdir(exist_ok=True)
    # What was written before is on the disk: writing it back is not this one's work.
    os.sync()
    begun, busy = time.perf_counter(), _busy_seconds()
    with errors.open("wb") as to:
        watched = Tree() if descendants else None
        child = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=to, cwd=ROOT, env=environment
        )
        assert child.stdout is not None
        os.set_blocking(child.stdout.fileno(), False)
        output, most = b"", [0, 0]

        def sampled(now: tuple[int, int]) -> None:
            most[:] = map(max, most, now)

        if watched:
            watched.follow(child.pid)
        while True:
            output += child.stdout.read() or b""
            sampled(watched.sample_kib() if watched else status_kib(child.pid))
            ended, status, used = os.wait4(child.pid, os.WNOHANG)
            if ended:
                break
            if time.perf_counter() - begun > seconds_max:
                child.kill()
            time.sleep(_TREE_SAMPLE_SECONDS if watched else _SAMPLE_SECONDS)
        wall = time.perf_counter() - begun
        child.returncode = os.waitstatus_to_exitcode(status)
        cpu = used.ru_utime + used.ru_stime + (watched.end(sampled) if watched else 0.0)
        output += child.stdout.read() or b""
        child.stdout.close()
    if wall > seconds_max:
        raise MeasurementFailed(f"{' '.join(command)}\nnot done in {seconds_max:g} s")
    if child.returncode != 0:
        words = errors.read_text(errors="replace")[-2000:]
        raise MeasurementFailed(f"{' '.join(command)}: exit {child.returncode}\n{words}")
    peak = most[0] if watched else used.ru_maxrss / (1024 if sys.platform == "darwin" else 1)
    others = max(0.0, _busy_seconds() - busy - cpu) / wall
    kernel, report = used.ru_stime, _report(output, watched)
    return Ended(wall, cpu, kernel, peak / 1024, most[1] / 1024, others, report)


def _report(output: bytes, watched: Tree | None) -> Any:
    """Programs of others write more than their report, which is the last line."""
    text = output.strip()
    last = text.splitlines()[-1] if watched and text else text
    try:
        found = json.loads(last) if last else None
    except ValueError:
        raise MeasurementFailed(f"wrote no report, but: {last[:200]!r}") from None
    if watched and not (isinstance(found, dict) and found.get("seconds")):
        raise MeasurementFailed(f"wrote no report of its seconds, but: {last[:200]!r}")
    return found


def _busy_seconds() -> float:
    """CPU time of the usable cores since their start, stolen time included; 0 where unknown."""
    try:
        lines = Path("/proc/stat").read_text().splitlines()
    except OSError:
        return 0.0
    names, ticks = {f"cpu{number}" for number in usable()}, 0
    for name, *fields in map(str.split, lines):
        if name in names:
            user, nice, system, _idle, _waiting, irq, soft_irq, steal = map(int, fields[:8])
            ticks += user + nice + system + irq + soft_irq + steal
    return ticks / os.sysconf("SC_CLK_TCK")
