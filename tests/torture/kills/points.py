"""The named points of the package, read from its source."""

from __future__ import annotations

import re
from functools import cache

from tests.mutants.mutants import PACKAGE

_REACH = re.compile(r'\breach\("([a-z_.]+)"\)')
_SERVERS = ("kafka.", "postgres.")


@cache
def points() -> tuple[str, ...]:
    """All of them, sorted."""
    texts = (path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py"))
    return tuple(sorted({name for text in texts for name in _REACH.findall(text)}))


def embedded() -> tuple[str, ...]:
    """Those that a run reaches without any server."""
    return tuple(name for name in points() if not name.startswith(_SERVERS))
