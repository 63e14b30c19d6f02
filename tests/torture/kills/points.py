"""The named points of the package, read from its source."""

from __future__ import annotations

import re
from functools import cache

from tests.mutants.mutants import PACKAGE

_REACH = re.compile(r'\breach\("([a-z_.]+)"\)')
# A table that is filled again is one elsewhere: those of the state are filled with it.
_SERVERS = ("kafka.", "postgres.", "fill.")


@cache
def points() -> tuple[str, ...]:
    """All of them, sorted."""
    texts = (path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py"))
    return tuple(sorted({name for text in texts for name in _REACH.findall(text)}))


def embedded() -> tuple[str, ...]:
    """Those that a run reaches without any server."""
    return tuple(name for name in points() if not name.startswith(_SERVERS))


def served() -> tuple[str, ...]:
    """Those that a run reaches with Kafka and PostgreSQL alone."""
    return tuple(name for name in points() if name.startswith(_SERVERS))
