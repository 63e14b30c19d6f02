"""Nothing of a server stays behind, also when the run that started it is killed.

A small process of its own reads from a pipe which directories hold servers. The pipe ends when the
run does, in whatever way; the processes of every directory that is still named are killed then,
and the directory is removed. A server's processes are found by where they work: PostgreSQL's
children lead sessions of their own, so that no process group holds them all.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from functools import cache
from pathlib import Path

import psutil

REMOVE, KEEP, FORGET = "remove", "keep", "forget"


def watch(directory: Path, *, keep: bool = False) -> None:
    """End what works in `directory` when this process ends; remove it too, unless `keep`."""
    _tell(KEEP if keep else REMOVE, directory)


def forget(directory: Path) -> None:
    """`directory` was cleared up by its owner."""
    _tell(FORGET, directory)


def processes_in(directory: Path) -> list[psutil.Process]:
    """Processes that work in `directory` or below and belong to no terminal, as a shell would."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, FileNotFoundError):
            if Path(process.cwd()).is_relative_to(directory) and process.terminal() is None:
                found.append(process)
    return found


def end_processes_in(directory: Path) -> None:
    """Kill, and kill again what was started meanwhile, until nobody is left."""
    while found := processes_in(directory):
        for process in found:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        time.sleep(0.01)


def _tell(what: str, directory: Path) -> None:
    pipe = _process().stdin
    assert pipe is not None
    pipe.write(f"{what} {directory.resolve()}\n")
    pipe.flush()


@cache
def _process() -> subprocess.Popen[str]:
    # A session of its own: Ctrl-C in the terminal ends the run, which ends the pipe.
    return subprocess.Popen(
        [sys.executable, "-P", __file__],
        stdin=subprocess.PIPE,
        cwd="/",
        env=os.environ
        | {"PYTHONPATH": os.pathsep.join(str(Path(place).resolve()) for place in sys.path)},
        text=True,
        start_new_session=True,
    )


def main() -> None:
    watched: dict[Path, str] = {}
    for line in sys.stdin:
        what, _, name = line.rstrip("\n").partition(" ")
        watched.pop(Path(name), None)
        if what != FORGET:
            watched[Path(name)] = what
    for directory, what in watched.items():
        end_processes_in(directory)
        if what == REMOVE:
            shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
