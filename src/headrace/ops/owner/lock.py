"""One owner of a job's directory at a time: whoever holds `flock` on its lock file.

The kernel frees the lock when its process ends, however it ends. What the file says about the
holder is only a hint where to ask: it may be left over from a process that was killed.
"""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from headrace.storage.durable import let_go, make_directory
from headrace.values.clock import instant_text
from headrace.values.errors import Busy, DiskRefused

FILE_NAME = "lock"


@dataclass(frozen=True)
class Holder:
    """Who holds a job: process, purpose ("run", "query", …), the command as typed, since when.

    `address` is the path of the socket on which it answers.
    """

    pid: int
    purpose: str
    command: str
    since_us: int
    address: str

    def __str__(self) -> str:
        return f"`{self.command}` (process {self.pid}, since {instant_text(self.since_us)})"

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


class Held(Busy):
    """The job is held; `holder` says by whom, None when it has not said so yet."""

    def __init__(self, job_directory: Path, holder: Holder | None, remedy: str) -> None:
        who = "another process" if holder is None else str(holder)
        super().__init__(f"job {job_directory.name!r} is held by {who}", remedy=remedy)
        self.holder = holder


class Lock:
    """The lock of one job's directory, held until `release`."""

    def __init__(self, job_directory: Path, descriptor: int) -> None:
        self.job_directory = job_directory
        self._descriptor: int | None = descriptor

    def announce(self, holder: Holder) -> None:
        """Writes into the file who holds it and where it answers; raises DiskRefused."""
        assert self._descriptor is not None
        try:
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, json.dumps(holder.to_json()).encode(), 0)
        except OSError as error:
            raise _refused(self.job_directory / FILE_NAME, error) from error

    def release(self) -> None:
        """Lets others have it; what the file still says is a hint at most."""
        if self._descriptor is None:
            return
        with suppress(OSError):
            os.ftruncate(self._descriptor, 0)
        let_go(self._descriptor)
        self._descriptor = None


def try_lock(job_directory: Path) -> Lock | None:
    """The lock, or None while another process has it; makes the directory where it is missing.

    Raises DiskRefused when the directory cannot be written.
    """
    path = job_directory / FILE_NAME
    try:
        make_directory(job_directory)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _refused(path, error) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        let_go(descriptor)
        return None
    return Lock(job_directory, descriptor)


def _refused(path: Path, error: OSError) -> DiskRefused:
    return DiskRefused(
        f"{path} cannot be written: {error.strerror}",
        remedy="Make the data directory writable, or choose another with --data DIR.",
    )


def announced(job_directory: Path) -> Holder | None:
    """What the lock file says about the holder; None when it says nothing that can be read."""
    try:
        return Holder(**json.loads((job_directory / FILE_NAME).read_bytes()))
    except (OSError, ValueError, TypeError):
        return None
