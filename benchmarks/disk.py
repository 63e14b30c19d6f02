"""What the measurements write to: the file system, and what waiting for it takes."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from pathlib import Path
from statistics import median

import psutil

_TIMES, _BYTES = 50, 4_096


def told(directory: Path) -> str:
    """Its kind, and a measured time of writing 4 KiB behind others with `fdatasync`."""
    directory.mkdir(parents=True, exist_ok=True)
    seconds = sync_seconds(directory)
    longest = max(seconds)
    return (
        f"{file_system(directory)}, {shutil.disk_usage(directory).total / 1e9:,.0f} GB; 4 KiB with "
        f"`fdatasync` take {median(seconds) * 1e3:.2f} ms (of {_TIMES} the longest "
        f"{longest * 1e3:.1f})"
    )


def file_system(directory: Path) -> str:
    """The kind of the one that `directory` is on, such as ext4."""
    place = directory.resolve()
    mounts = {Path(of.mountpoint): of.fstype for of in psutil.disk_partitions(all=True)}
    above = [mount for mount in mounts if place.is_relative_to(mount)]
    return mounts[max(above, key=lambda mount: len(mount.parts))] if above else "unknown"


def sync_seconds(directory: Path) -> list[float]:
    """What each of several small writes took to be on the disk."""
    sync, found = getattr(os, "fdatasync", os.fsync), []
    with tempfile.TemporaryFile(dir=directory) as file:
        for _ in range(_TIMES):
            begun = time.perf_counter()
            file.write(bytes(_BYTES))
            file.flush()
            sync(file.fileno())
            found.append(time.perf_counter() - begun)
    return found
