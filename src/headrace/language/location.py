"""Where in the user's files a definition was written, for the messages of errors."""

from __future__ import annotations

import sys
from pathlib import Path

_OWN = ("headrace.language", "headrace.app")


def caller() -> str:
    """ "file.py:12" of the nearest call outside the definition language itself.

    The file is named relative to the working directory where that is shorter.
    """
    frame = sys._getframe(1)
    while frame.f_back is not None and _is_own(frame.f_globals.get("__name__", "")):
        frame = frame.f_back
    return f"{short_name(frame.f_code.co_filename)}:{frame.f_lineno}"


def _is_own(module: str) -> bool:
    return any(module == own or module.startswith(own + ".") for own in _OWN)


def short_name(file: str) -> str:
    """The name of a file, relative to the working directory where it lies below."""
    path = Path(file)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else file
