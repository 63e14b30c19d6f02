"""What each file of a lake's log was when it became durable: a line for each, beside them.

Delta has no checksums: of a log in which a letter has changed, rows may be missing and marks differ
without a word. Lines are appended without a sync: what a power cut takes of them, and what does not
hold in itself, leaves a file unchecked, never refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import xxhash

from headrace.values.errors import StateRefused
from headrace.values.points import reach

_FILE_NAME = "_headrace_digests"
_LINE = re.compile(r"(\S+) ([0-9a-f]{16}) ([0-9a-f]{16})")
_COMMIT = re.compile(r"(\d{20})\.json")
_CHECKPOINT = re.compile(r"(\d{20})\.checkpoint\.parquet")


def note(log: Path, names: Iterable[str]) -> None:
    """Notes the files `names` of `log`, which are durable, as they are; OSError from the disk."""
    lines = "".join(_line(name, _digest(log / name)) for name in names)
    with (log / _FILE_NAME).open("a", encoding="ascii") as file:
        file.write(lines)
    reach("lake.digests.noted")


def is_noted(path: Path) -> bool:
    """Whether a file of a log was noted, and so was durable."""
    return path.name in _noted(path.parent)


def unnoted(log: Path) -> list[int]:
    """The versions of the commits of `log` that are not noted, and so may not be durable."""
    noted = _noted(log)
    names = [path.name for path in log.iterdir() if path.name not in noted]
    return list(_versions(_COMMIT, names, None).values())


def differs(path: Path) -> bool:
    """Whether a file of a log is not what was noted of it; OSError when it cannot be read."""
    wanted = _noted(path.parent).get(path.name)
    return wanted is not None and wanted != _digest(path)


def check_log(log: Path, version: int | None) -> None:
    """StateRefused names a file that `version` (None: the last) is read from, and that differs."""
    noted = _noted(log)
    names = [path.name for path in log.iterdir()] if noted else []
    checkpoints = _versions(_CHECKPOINT, names, version)
    first = max(checkpoints.values(), default=-1)
    needed = [name for name, number in checkpoints.items() if number == first]
    needed += [name for name, n in _versions(_COMMIT, names, version).items() if n > first]
    for name in sorted(needed):
        try:
            if name in noted and noted[name] != _digest(log / name):
                raise damaged_log(log / name, "is not what was written")
        except FileNotFoundError:
            # Clean-up took it: what is read is newer.
            continue


def damaged_log(path: Path, what: str) -> StateRefused:
    """The error for a lake's log, or a file of it, of which `what` is said."""
    return StateRefused(
        f"The log of a lake, {path}, {what}", remedy="Restore the lake's directory from a backup."
    )


def forget_removed(log: Path) -> None:
    """Drops the lines of files that are gone."""
    kept = "".join(_line(name, d) for name, d in _noted(log).items() if (log / name).exists())
    draft = log / f"{_FILE_NAME}.new"
    draft.write_text(kept, encoding="ascii")
    reach("lake.digests.written")
    draft.replace(log / _FILE_NAME)
    reach("lake.digests.replaced")


def _noted(log: Path) -> dict[str, str]:
    """The digests by file name; the last line of each counts."""
    try:
        text = (log / _FILE_NAME).read_text(encoding="ascii", errors="replace")
    except FileNotFoundError:
        return {}
    found = filter(None, map(_LINE.fullmatch, text.splitlines()))
    return {m[1]: m[2] for m in found if _line(m[1], m[2]).rstrip() == m[0]}


def _line(name: str, digest: str) -> str:
    return f"{name} {digest} {xxhash.xxh3_64_hexdigest(f'{name} {digest}'.encode())}\n"


def _digest(path: Path) -> str:
    return xxhash.xxh3_64_hexdigest(path.read_bytes())


def _versions(pattern: re.Pattern[str], names: Iterable[str], upto: int | None) -> dict[str, int]:
    """The versions in those of `names` that fit, up to one (None: all)."""
    found = {m[0]: int(m[1]) for m in map(pattern.fullmatch, names) if m}
    return {name: n for name, n in found.items() if upto is None or n <= upto}
