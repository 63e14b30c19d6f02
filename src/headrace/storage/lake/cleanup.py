"""Checkpoints of the lake's log, and what nobody needs any more: old log files, dead data files.

A replaced file, a file that no commit names (a crash left it) and a commit that a checkpoint
covers all stay for the grace period, so that whoever reads an older version can finish.
"""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import TYPE_CHECKING

from headrace.storage.durable import sync_directory, sync_file
from headrace.storage.lake.entries import last_entry
from headrace.storage.lake.log import LAST_CHECKPOINT, LOG, Log
from headrace.storage.lake.noted import forget_removed, note
from headrace.values.points import reach

if TYPE_CHECKING:
    from deltalake import DeltaTable

_CHECKPOINT_COMMITS = 50
_CHECKPOINT = ".checkpoint.parquet"


def tidy(log: Log, grace_seconds: int) -> None:
    """Every fifty commits: a checkpoint, then everything goes that nobody needs any more."""
    covered = checkpoint_version(log.directory)
    if log.table.version() - covered < _CHECKPOINT_COMMITS:
        return
    found = last_entry(log.table)
    checkpoint(log.directory, log.table)
    remove_dead_files(log.directory, log.table)
    if found is not None:
        remove_old_log(log.directory, found[1], grace_seconds)


def checkpoint(directory: Path, table: DeltaTable) -> None:
    """Writes a checkpoint of the table's version, durably."""
    table.create_checkpoint()
    reach("lake.checkpoint.written")
    log = directory / LOG
    made = list(log.glob(f"{table.version():020}{_CHECKPOINT}"))
    for path in [*made, log / LAST_CHECKPOINT]:
        sync_file(path)
    sync_directory(log)
    note(log, [path.name for path in made])


def checkpoint_version(directory: Path) -> int:
    """The version of the last checkpoint; -1 when there is none or it cannot be read."""
    try:
        text = (directory / LOG / LAST_CHECKPOINT).read_text(encoding="utf-8")
        return int(json.loads(text)["version"])
    except (OSError, ValueError, KeyError):
        return -1


def remove_dead_files(directory: Path, table: DeltaTable) -> int:
    """Deletes data files that no version within the grace period names; returns how many."""
    dead = table.vacuum(dry_run=True, full=True)
    for path in dead:
        (directory / path).unlink(missing_ok=True)
        reach("lake.file.removed")
    return len(dead)


def remove_old_log(directory: Path, keep_from: int, grace_seconds: float) -> int:
    """Deletes log files below version `keep_from` that are older than the grace period.

    The newest checkpoint that is itself older than the grace period stays, and all after it.
    """
    log, before = directory / LOG, time.time() - grace_seconds
    aged = [path for path in sorted(log.iterdir()) if path.stat().st_mtime <= before]
    covering = [
        version
        for path in aged
        if path.name.endswith(_CHECKPOINT) and (version := _version(path)) <= keep_from
    ]
    if not covering:
        return 0
    removed = 0
    for path in aged:
        # A writer that was killed while it made a commit leaves its draft: `…json#1`.
        if _version(path) < max(covering) or "#" in path.name:
            path.unlink(missing_ok=True)
            reach("lake.log.removed")
            removed += 1
    forget_removed(log)
    return removed


def _version(path: Path) -> float:
    """The version that a log file's name begins with; infinity when it has none."""
    number = path.name.partition(".")[0]
    return int(number) if number.isdigit() else math.inf
