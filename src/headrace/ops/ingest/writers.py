"""Which process reads a pipe, so that another can tell whether it still does."""

from __future__ import annotations

import os
import platform
from pathlib import Path


def present() -> str:
    """This process, on this machine: a number is given again, but not with the same beginning."""
    return _named(os.getpid())


def lives(writer: str) -> bool:
    """Whether another process that `present` named is there; False for one of another machine."""
    number = writer.rpartition(" ")[0].rpartition(" ")[2]
    if not number.isdecimal() or writer == present():
        return False
    return writer == _named(int(number)) and _is_there(int(number))


def _named(process: int) -> str:
    return f"{platform.node()} {process} {_begun(process)}"


def _begun(process: int) -> str:
    """When a process began, in ticks since the machine did; "?" where the system does not say."""
    try:
        stat = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return "?"
    # Behind the name of the program, which may have blanks: see proc(5), field 22.
    return stat.rpartition(")")[2].split()[19]


def _is_there(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
