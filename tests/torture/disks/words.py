"""What a refusal must say of a damaged file: which one, and a way on that can be followed."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from headrace.storage.state.store import FILE_NAME

# The command line names the app as it was typed.
_COMMAND = re.compile(r"headrace (state \w+ \S+[^\n,;]*)")
_RESTORE = re.compile(
    r"[Rr]estore (the (topic|lake)'s directory|its _delta_log|it) from a backup|Restore it, or"
)
_REMOVE = re.compile(r"^Remove the file;", re.M)


@dataclass(frozen=True)
class Ways:
    """What the words of a refusal offer; `commands` are arguments of `headrace`."""

    commands: tuple[tuple[str, ...], ...]
    restore: bool
    remove: bool

    def __bool__(self) -> bool:
        return bool(self.commands) or self.restore or self.remove


def ways_in(said: str) -> Ways:
    """The ways on in `said`."""
    commands = tuple(tuple(shlex.split(found)) for found in _COMMAND.findall(said))
    return Ways(commands, bool(_RESTORE.search(said)), bool(_REMOVE.search(said)))


def says_why(said: str, data: Path, reason: str) -> bool:
    """Whether `said`, without the paths below the parent of `data`, tells of the disk.

    By the `reason` that the system gives, or in words of its own; a path may hold any of them.
    """
    words = re.sub(rf"\S*{re.escape(str(data.parent))}\S*", "", said).lower()
    return any(why in words for why in (reason.lower(), "disk", "no permission"))


def check_words(said: str, path: Path, of: Path, *, missing: bool) -> None:
    """Checks that `said` names the damaged file at `path`, and a way on.

    Instead of one that is missing, its topic, lake or state, `of`, may be named. So it may for the
    log of a state, without the end of which there is an older state.
    """
    named = [path]
    if missing or path.name == f"{FILE_NAME}.wal":
        named += [of, *(parent for parent in path.parents if parent.is_relative_to(of))]
    assert any(re.search(rf"{re.escape(str(one))}(?![\w/])", said) for one in named), said
    assert ways_in(said), f"no way on: {said}"
