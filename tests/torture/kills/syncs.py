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
CHANGES = ("pwritev", "pwrite", "replace", "rename", "unlink", "mkdir", "ftruncate", "open")
"""Beside these, and `close`, there is `write`: that of a file which Python opened."""

_guards: list[Guard] = []


def install() -> None:
    """Lets every call named above pass by the guards; syncs do nothing else."""
    for name in SYNCS:
        setattr(os, name, _passing(name, lambda *arguments: None))
    for name in CHANGES:
        setattr(os, name, _passing(name, getattr(os, name)))
    os.close = _closing(os.close)
    builtins.open = io.open = _opening(io.open)
    io.FileIO = _Opened  # type: ignore[misc]


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


class _Written(io.FileIO):
    """A file that was opened through Python, to be written."""

    def write(self, data: Any) -> int:
        _tell("write", self.fileno())
        return super().write(data)

    def close(self) -> None:
        try:
            if not self.closed and self.writable():
                _tell("close", self.fileno())
        finally:
            super().close()


class _Opened(_Written):
    """As `io.FileIO`."""

    def __init__(self, file: Any, *arguments: Any, **options: Any) -> None:
        _tell("open", file)
        super().__init__(file, *arguments, **options)


def _opening(real: Callable[..., Any]) -> Callable[..., Any]:
    """As `open`; what is opened to be written is made of the same layers, above our own."""

    def call(
        file: Any,
        mode: str = "r",
        buffering: int = -1,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
        **options: Any,
    ) -> Any:
        _tell("open", file)
        if not _guards or options or buffering >= 0 or not {*mode} & {*"wax+"}:
            return real(file, mode, buffering, encoding, errors, newline, **options)
        raw = _Written(file, mode.translate({ord("b"): None, ord("t"): None}))
        buffered = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
        if "b" in mode:
            return buffered
        text = io.TextIOWrapper(buffered, encoding, errors, newline)
        text.mode = mode  # type: ignore[misc]
        return text

    return call


def _tell(name: str, of: Any) -> None:
    for one in _guards:
        one(name, (of,))


def _passing(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
    def call(*arguments: Any, **options: Any) -> Any:
        for one in _guards:
            one(name, arguments)
        return real(*arguments, **options)

    return call
