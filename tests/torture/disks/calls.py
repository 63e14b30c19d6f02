"""Calls to a disk, by kind: counted in one process, refused in another."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from random import Random
from typing import Any

from tests.torture.kills import syncs

_PATIENCE_SECONDS = 3.0


@dataclass(frozen=True)
class Kind:
    """Calls of one kind, by the names under which they pass by, and how a disk refuses them.

    A refusal is `counted` as that. `few` is how many a short command makes, more or less.
    """

    counted: str
    names: tuple[str, ...]
    numbers: tuple[int, ...]
    few: int


KINDS: Mapping[str, Kind] = {
    "opens": Kind("opens refused", ("open",), (errno.EACCES, errno.EMFILE, errno.EIO), 100),
    "writes": Kind(
        "writes refused", ("pwritev", "pwrite", "write"), (errno.ENOSPC, errno.EIO, errno.EDQUOT), 6
    ),
    "syncs": Kind("syncs refused", ("fsync", "fdatasync"), (errno.EIO, errno.ENOSPC), 10),
    "closes": Kind("closes refused", ("close",), (errno.EIO, errno.EDQUOT), 10),
    "renames": Kind(
        "renames refused", ("replace", "rename"), (errno.EIO, errno.ENOSPC, errno.EACCES), 2
    ),
    "directories": Kind("directories refused", ("mkdir",), (errno.ENOSPC, errno.EACCES), 3),
    "removals": Kind("removals refused", ("unlink",), (errno.EIO, errno.EACCES), 2),
    "cuts": Kind("cuts refused", ("ftruncate",), (errno.EIO,), 2),
}


@dataclass(frozen=True)
class Refusal:
    """The nth call of a kind fails, and with `lasting` all after it."""

    kind: str
    number: int
    nth: int
    lasting: bool

    @classmethod
    def by(cls, chance: Random, kind: str, calls: int) -> Refusal:
        """One of that many calls."""
        number = chance.choice(KINDS[kind].numbers)
        return cls(kind, number, chance.randint(1, calls), chance.random() < 0.3)

    @property
    def reason(self) -> str:
        return os.strerror(self.number)

    def within(self, data: Path, flag: Path) -> Callable[[], None]:
        """What a process calls first to have its calls below `data` refused so.

        A file `flag` then says of which paths, a line for each call.
        """
        return partial(_refuse, self, data, flag)


def counting(data: Path, counts: Path) -> Callable[[], None]:
    """What a process calls first to have its calls below `data` counted."""
    return partial(_count, data, counts)


def counted(counts: Path) -> dict[str, int]:
    """How many calls of each kind were counted."""
    found = {path.name: path.stat().st_size for path in counts.iterdir()}
    return {kind: sum(found.get(name, 0) for name in one.names) for kind, one in KINDS.items()}


def _refuse(refusal: Refusal, data: Path, flag: Path) -> None:
    left_over = refusal.nth
    told = os.open(flag, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    # Nobody mends the disk meanwhile.
    import_module(
        "headrace.engines.embedded.deliveries.outage"
    ).PATIENCE_SECONDS = _PATIENCE_SECONDS

    def guard(called: str, arguments: tuple[Any, ...]) -> None:
        nonlocal left_over
        if called not in KINDS[refusal.kind].names:
            return
        path = _path(arguments[0])
        if not path.is_relative_to(data):
            return
        left_over -= 1
        if left_over == 0 or (refusal.lasting and left_over < 0):
            os.write(told, f"{path}\n".encode())
            # As the system does: of a file that is open it does not say which.
            of = () if isinstance(arguments[0], int) else (os.fspath(arguments[0]),)
            raise OSError(refusal.number, refusal.reason, *of)

    syncs.guard(guard)


def _count(data: Path, counts: Path) -> None:
    counts.mkdir(parents=True, exist_ok=True)
    flags = os.O_CREAT | os.O_WRONLY | os.O_APPEND
    names = [name for kind in KINDS.values() for name in kind.names]
    # A byte for each call: whatever ends the process, all are there.
    files = {name: os.open(counts / name, flags) for name in names}

    def guard(called: str, arguments: tuple[Any, ...]) -> None:
        if _path(arguments[0]).is_relative_to(data):
            os.write(files[called], b".")

    syncs.guard(guard)


def _path(target: Any) -> Path:
    if isinstance(target, int):
        return Path(f"/proc/self/fd/{target}").readlink()
    return Path(os.fsdecode(target))
