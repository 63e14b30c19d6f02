"""Where a run's calls to the disk pass by, so that a trial can watch them or make them fail.

Put in place before the package is imported, which binds some of them by name. A run that is only
killed need not wait for the disk: the page cache outlives a process.
"""

from __future__ import annotations

import builtins
import fcntl
import io
import os
from collections.abc import Callable
from typing import Any

Guard = Callable[[str, tuple[Any, ...]], None]
"""Called with the name and the arguments of a call before it is made; may raise OSError."""

SYNCS = ("fsync", "fdatasync")
CHANGES = ("pwritev", "replace", "rename", "unlink", "mkdir", "ftruncate", "open")

_guards: list[Guard] = []


def install() -> None:
    """Lets every call named above pass by the guards; syncs do nothing else."""
    for name in SYNCS:
        setattr(os, name, _passing(name, lambda *arguments: None))
    for name in CHANGES:
        setattr(os, name, _passing(name, getattr(os, name)))
    os.close = _closing(os.close)
    # Files that are opened for reading and writing through Python pass by as well.
    builtins.open = io.open = _passing("open", io.open)


def guard(one: Guard) -> None:
    """From here on `one` sees every call of this process."""
    _guards.append(one)


def _closing(real: Callable[[int], None]) -> Callable[[int], None]:
    """One that was written; it is closed whatever closing says of it."""

    def call(descriptor: int) -> None:
        writes = fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE != os.O_RDONLY
        try:
            for one in _guards if writes else ():
                one("close", (descriptor,))
        finally:
            real(descriptor)

    return call


def _passing(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
    def call(*arguments: Any, **options: Any) -> Any:
        for one in _guards:
            one(name, arguments)
        return real(*arguments, **options)

    return call
