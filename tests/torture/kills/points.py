"""The named points of the package, read from its source.

`ELSEWHERE` names those that no job of a trial reaches, each with the test that kills there.
"""

from __future__ import annotations

import re
from functools import cache

from tests.mutants.mutants import PACKAGE

_REACH = re.compile(r'\breach\("([a-z_.]+)"\)')
# A table that is filled again is one elsewhere: those of the state are filled with it.
_SERVERS = ("kafka.", "postgres.", "fill.")
ELSEWHERE = {
    # A file of the lake's log that a bad disk changed.
    "lake.damaged.renamed": "tests/storage/lake/test_crashes.py",
    # Commands that a user gives for a state that is damaged, and for lakes to begin with.
    "state.moved.aside": "tests/faults/test_resets.py",
    "lake.moved.aside": "tests/faults/test_resets.py",
}


@cache
def points() -> tuple[str, ...]:
    """All of them, sorted."""
    texts = (path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py"))
    return tuple(sorted({name for text in texts for name in _REACH.findall(text)}))


def embedded() -> tuple[str, ...]:
    """Those that a run reaches without any server."""
    there = (name for name in points() if not name.startswith(_SERVERS))
    return tuple(name for name in there if name not in ELSEWHERE)


def served() -> tuple[str, ...]:
    """Those that a run reaches with Kafka and PostgreSQL alone."""
    return tuple(name for name in points() if name.startswith(_SERVERS))
