"""Where everything embedded lies: one directory, three parts.

DATA/topics/<topic>/     the log
DATA/lakes/<name>/       Delta tables
DATA/former-lakes/       those that a reset has moved aside
DATA/jobs/<job>/         state, lock, spill
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class DataDirectory:
    """The paths below one data directory; nothing is made here."""

    root: Path

    @property
    def topics(self) -> Path:
        return self.root / "topics"

    def lake(self, name: str) -> Path:
        return self.root / "lakes" / name

    def former_lake(self, name: str, number: int) -> Path:
        """Where a lake is moved to, the `number`th time."""
        return self.root / "former-lakes" / f"{name}.{number}"

    def job(self, job_id: str) -> Path:
        return self.root / "jobs" / job_id


def can_be_named(root: Path) -> bool:
    """Whether the engine, which takes names in UTF-8, and the system can both be told of `root`."""
    try:
        os.fsencode(root)
        str(root.absolute()).encode()
    except UnicodeEncodeError:
        return False
    return True
