"""Writing to disk: everything lands whole, and what the system refuses is said in words."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from headrace.storage.durable import sync_directory
from headrace.values.errors import DiskRefused, TopicRefused
from headrace.values.points import reach

_ROOM = (
    "Free some space. A running job goes on by itself; run another command again: nothing is lost."
)
_REASONS = {
    errno.ENOSPC: ("the disk is full", _ROOM),
    errno.EDQUOT: ("the disk quota is used up", _ROOM),
    errno.EFBIG: ("the file may not grow further", "Raise the file size limit (ulimit -f)."),
    errno.EACCES: ("no permission", "Give this user the right to write there."),
    errno.EPERM: ("no permission", "Give this user the right to write there."),
    errno.EROFS: ("the file system is read-only", "Mount it for writing, or move the data."),
    errno.EMFILE: ("too many open files", "Raise the limit of open files (ulimit -n)."),
}

_TO_READ = {errno.EACCES: "Give this user the right to read there."}

sync_data = getattr(os, "fdatasync", os.fsync)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns what the system refuses inside the block into DiskRefused naming `path`.

    A path that is gone is TopicRefused: the topic was deleted under its writer. A lock that is
    taken stays what it is.
    """
    try:
        yield
    except BlockingIOError:
        raise
    except FileNotFoundError as error:
        raise TopicRefused(
            f"{error.filename or path} is gone: the topic was deleted while it was in use",
            remedy="Create the topic again, or restore its directory from a backup.",
        ) from error
    except OSError as error:
        reason, remedy = _REASONS.get(
            error.errno or 0, (os.strerror(error.errno or 0), "Check the disk, then go on.")
        )
        raise DiskRefused(f"Cannot write {path}: {reason}", remedy=remedy) from error


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turns what the system refuses inside the block into DiskRefused; not that a file is gone."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        number = error.errno or 0
        reason, remedy = _REASONS.get(number, (os.strerror(number), "Check the disk, then go on."))
        raise DiskRefused(
            f"Cannot read {path}: {reason}", remedy=_TO_READ.get(number, remedy)
        ) from error


def write_at(descriptor: int, pieces: Sequence[Any], position: int) -> None:
    """Writes all `pieces` (buffers of bytes) one behind the other from `position` on."""
    rest = [memoryview(piece).cast("B") for piece in pieces if len(piece)]
    while rest:
        written = os.pwritev(descriptor, rest, position)
        position += written
        while rest and written >= len(rest[0]):
            written -= len(rest.pop(0))
        if rest:
            rest[0] = rest[0][written:]


def write_json(path: Path, content: Any) -> None:
    """Replaces `path` by `content` in one durable step."""
    aside = path.with_name(f"{path.name}.new")
    with writing(path):
        try:
            with aside.open("w", encoding="utf-8") as file:
                json.dump(content, file, indent=1)
                file.flush()
                os.fsync(file.fileno())
            reach("log.file.synced")
            aside.replace(path)
            reach("log.file.replaced")
        except OSError:
            aside.unlink(missing_ok=True)
            raise
        sync_directory(path.parent)
