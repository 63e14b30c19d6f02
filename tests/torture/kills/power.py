"""Power cuts: at a kill, what was not synced is gone.

While a run is under way, a *witness* outside of its directory learns what each sync made durable: a
file's content, or the names in a directory. After the kill every file of ours goes back to that, or
to something between that and what the run last wrote, as a disk may have it: of each block that was
not synced the old or the new content, of each new name there or not. DuckDB's own files stay: it
syncs them itself, where nobody here sees it.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from tests.torture.kills import syncs

_BLOCK = 4096
_OWN = ("job.duckdb", "spill", "lock", "writers", "owner")


class Witness:
    """What is durable of the files in `data`, kept in `aside`."""

    def __init__(self, data: Path, aside: Path) -> None:
        self.data, self.aside = data, aside

    def begin(self) -> None:
        """From here on: all that is there now is durable."""
        shutil.rmtree(self.aside, ignore_errors=True)
        self.aside.mkdir()
        for directory, _, files in os.walk(self.data):
            self._note_names(Path(directory))
            for name in files:
                if not _is_others(Path(directory) / name):
                    self._note_content(Path(directory) / name)

    def watch(self) -> None:
        """Called in the process of a run, which tells its syncs from then on."""
        syncs.guard(self._saw)

    def cut(self, chance: Random, *, least: bool = False, torn: bool = False) -> int:
        """The power fails: files become what a disk may have kept; returns how many changed.

        `least` says that it has kept nothing but what it had to, `torn` that it has kept all names,
        and half of what was written last.
        """
        changed = 0
        outcomes = ["synced"] if least else ["as it is"] if torn else ["synced", "as it is", "some"]
        for directory in list(_directories(self.data)):
            changed += self._names_back(directory, chance.choice(outcomes), chance)
        for path in [path for path in self.data.rglob("*") if _is_ours(path)]:
            changed += self._content_back(path, chance, least, torn)
        return changed

    def _saw(self, name: str, arguments: tuple[Any, ...]) -> None:
        if name not in syncs.SYNCS:
            return
        path = Path(f"/proc/self/fd/{arguments[0]}").readlink()
        if not path.is_relative_to(self.data):
            return
        if path.is_dir():
            self._note_names(path)
        elif path.exists() and _is_ours(path):
            self._note_content(path)

    def _note_names(self, directory: Path) -> None:
        """The names in a directory; each file's own content stays reachable, whoever unlinks it."""
        names = {}
        for path in directory.iterdir():
            # The number of one that is gone may be another file's by now.
            if _is_others(path):
                continue
            number = path.stat().st_ino
            names[path.name] = number
            held = self.aside / f"{number}.file"
            if _is_ours(path) and not held.exists():
                os.link(path, held)
        self._write(f"{directory.stat().st_ino}.names", json.dumps(names).encode())

    def _note_content(self, path: Path) -> None:
        number = path.stat().st_ino
        held = self.aside / f"{number}.file"
        if not held.exists():
            # A number is not given again while somebody holds the file.
            os.link(path, held)
        self._write(f"{number}.synced", path.read_bytes())

    def _write(self, name: str, content: bytes) -> None:
        draft = self.aside / f"{name}.draft.{os.getpid()}.{os.urandom(4).hex()}"
        draft.write_bytes(content)
        draft.replace(self.aside / name)

    def _names_back(self, directory: Path, outcome: str, chance: Random) -> int:
        """The names as at the last sync of the directory, as they are, or something between."""
        if not directory.exists():
            return 0
        noted = self.aside / f"{directory.stat().st_ino}.names"
        durable: dict[str, int] = json.loads(noted.read_bytes()) if noted.exists() else {}
        changed = 0
        if outcome == "as it is":
            return 0
        kept = set(durable.values())
        for path in list(directory.iterdir()):
            number = path.stat().st_ino
            if _is_others(path) or number == durable.get(path.name):
                continue
            # A new name of what has a durable one was a rename: it has not happened, or has.
            if outcome == "synced" or (number not in kept and chance.random() < 0.5):
                _remove(path)
                changed += 1
                # What it took the place of is there still.
                changed += self._name_back(path, durable)
        if outcome == "synced":
            changed += sum(self._name_back(directory / name, durable) for name in durable)
        return changed

    def _name_back(self, path: Path, durable: Mapping[str, int]) -> int:
        """Gives a file the name that it had; whether there is one without it."""
        held = self.aside / f"{durable.get(path.name)}.file"
        if path.exists() or not held.exists():
            return 0
        os.link(held, path)
        return 1

    def _content_back(self, path: Path, chance: Random, least: bool, torn: bool) -> int:
        """Each block that was not synced has its old or its new content."""
        noted = self.aside / f"{path.stat().st_ino}.synced"
        durable = noted.read_bytes() if noted.exists() else b""
        present = path.read_bytes()
        if present == durable:
            return 0
        length = chance.choice([len(durable), len(present), *_between(durable, present, chance)])
        likely = chance.choice([0.0, 0.5, 1.0])
        if least:
            length, likely = len(durable), 0.0
        elif torn:
            length, likely = (len(durable) + len(present)) // 2, 1.0
        old, new = durable.ljust(length, b"\0"), present.ljust(length, b"\0")
        blocks = []
        for start in range(0, length, _BLOCK):
            source = new if chance.random() < likely else old
            blocks.append(source[start : min(start + _BLOCK, length)])
        # In place: other names of the same file see it too.
        with path.open("r+b") as file:
            file.truncate(0)
            file.write(b"".join(blocks))
        return 1


def watched(data: Path, aside: Path) -> Any:
    """What a run calls first, so that its syncs are seen."""
    return partial(_watch, data, aside)


def _watch(data: Path, aside: Path) -> None:
    Witness(data, aside).watch()


def _between(durable: bytes, present: bytes, chance: Random) -> list[int]:
    low, high = sorted((len(durable), len(present)))
    return [chance.randint(low, high)] * 2


def _directories(root: Path) -> Iterator[Path]:
    """From the top down, so that what is gone is not looked into."""
    yield root
    for directory, names, _ in os.walk(root):
        yield from (Path(directory) / name for name in names)


def _is_others(path: Path) -> bool:
    return path.name.startswith(_OWN) or "jobs" in path.parts


def _is_ours(path: Path) -> bool:
    return path.is_file() and not path.is_symlink() and not _is_others(path)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
