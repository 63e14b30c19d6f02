"""What is made once for a machine and kept outside the repository.

A path in the cache is whole: it is made under another name and renamed, by one process at a time.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path


def cache_directory(kind: str = "jars") -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "headrace" / kind


def made_once(whole: Path, make: Callable[[Path], None]) -> Path:
    """The file or directory `whole`; where it is not there, `make` makes it under another name."""
    if whole.exists():
        return whole
    whole.parent.mkdir(parents=True, exist_ok=True)
    part = whole.with_name(f"{whole.name}.part")
    with whole.with_name(f"{whole.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not whole.exists():  # else another process made it while this one waited
            shutil.rmtree(part, ignore_errors=True)
            part.unlink(missing_ok=True)
            make(part)
            part.rename(whole)
    return whole
