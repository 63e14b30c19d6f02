"""Makes room for new lakes: what the old ones have stays beside them, for whoever reads it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from pathlib import Path

from headrace.storage.durable import make_directory, sync_directory
from headrace.storage.lake.reading import not_ours, owner_of
from headrace.storage.layout import DataDirectory
from headrace.values.errors import DiskRefused
from headrace.values.points import reach


def moved_aside(data: DataDirectory, job: str, lakes: Sequence[str]) -> dict[str, Path]:
    """Moves `lakes` to where nobody writes; where they are now, by name, of those that there are.

    For whoever has the `job`, and resets it next. StateRefused where one is another job's,
    DiskRefused where the disk does not take that.
    """
    for path in map(data.lake, lakes):
        owner = owner_of(path)
        if owner is not None and owner != job:
            raise not_ours(path, job, owner)
    moved = {}
    for name in lakes:
        path = data.lake(name)
        if path.exists():
            aside = next(p for n in count(1) if not (p := data.former_lake(name, n)).exists())
            try:
                make_directory(aside.parent)
                path.rename(aside)
                reach("lake.moved.aside")
                sync_directory(aside.parent)
                sync_directory(path.parent)
            except OSError as error:
                raise DiskRefused(
                    f"Cannot move {path} to {aside}: {error.strerror}",
                    remedy="Free space or mend the permission, then reset again.",
                ) from error
            moved[name] = aside
    return moved
