"""A process and all that come from it: a JVM that Python starts does the work of its peer."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable

import psutil

_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER
_LEAVE_SECONDS_MAX = 20.0


class Tree:
    """Watches a process, whose end the caller waits for, and its descendants.

    Made before that process is started: what it leaves behind at once is told from what was there.
    A descendant whose parent ends first becomes a child of this process, so that its CPU time is
    known to the end. CPU time of the others is in what the caller is told of `pid`.
    """

    def __init__(self) -> None:
        self._root = -1
        self._others = _children()

    def follow(self, pid: int) -> None:
        """The process to watch has begun."""
        self._root = pid

    def sample_kib(self) -> tuple[int, int]:
        """Resident memory, summed (shared pages count for each), and what of it is anonymous."""
        try:
            found = [self._root, *(c.pid for c in psutil.Process(self._root).children(True))]
        except psutil.NoSuchProcess:
            found = list(self._left())
        each = [status_kib(pid) for pid in found]
        return sum(rss for rss, _ in each), sum(anonymous for _, anonymous in each)

    def _left(self) -> set[int]:
        """What it has left behind."""
        return _children() - self._others - {self._root}

    def end(self, sampled: Callable[[tuple[int, int]], None]) -> float:
        """Waits for descendants that were left behind; their CPU seconds. Ends who stays.

        `sampled` is given their memory meanwhile.
        """
        cpu, deadline = 0.0, time.monotonic() + _LEAVE_SECONDS_MAX
        while left := self._left():
            sampled(self.sample_kib())
            for pid in left:
                if time.monotonic() > deadline:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                ended, _, used = os.wait4(pid, os.WNOHANG)
                if ended:
                    cpu += used.ru_utime + used.ru_stime
            time.sleep(0.02)
        return cpu


def _children() -> set[int]:
    return {child.pid for child in psutil.Process().children()}


def adopt_orphans() -> None:
    """Makes this process the parent of what its descendants leave behind."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)


def status_kib(pid: int) -> tuple[int, int]:
    """Resident and anonymous memory of one process; zeros where it has ended."""
    found = {"VmRSS": 0, "RssAnon": 0}
    try:
        with open(f"/proc/{pid}/status") as lines:  # noqa: PTH123 - sampled often
            for line in lines:
                key, _, value = line.partition(":")
                if key in found:
                    found[key] = int(value.split()[0])
    except OSError:
        pass
    return found["VmRSS"], found["RssAnon"]
