"""Errors that the user's own code raised, told with their place there and none of ours."""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path

from headrace.language.location import short_name
from headrace.values.errors import DefinitionError


def in_their_code(
    error: Exception, what: str, *, remedy: str | None = None
) -> DefinitionError | None:
    """`what` and the error, with the last place of theirs that it came through; None for none."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if _is_theirs(f.filename)]
    if not frames:
        return None
    last = frames[-1]
    return DefinitionError(
        f"{what}: {type(error).__name__}: {error}".rstrip(": "),
        expression=last.line or None,
        where=f"{short_name(last.filename)}:{last.lineno}",
        remedy=remedy,
    )


def _is_theirs(filename: str) -> bool:
    package = str(Path(__file__).resolve().parents[1])
    foreign = (package, sys.base_prefix + os.sep, "<frozen", "<string")
    return not filename.startswith(foreign) and "site-packages" not in filename
