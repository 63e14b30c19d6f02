"""The two cores that everything is measured on, however many the machine has."""

from __future__ import annotations

import os

CORES = 2


def usable() -> list[int]:
    """The numbers of the cores that this process and what it starts may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def use_two() -> None:
    """From here on this process, and what it starts, has two cores; where that can be had."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, usable()[:CORES])
