"""A data file's own digest, in its name: whether it still is what was written.

Parquet's readers mostly believe what they find: of single flipped bits most come out as other
values, without a word. So whatever is derived from a lake asks here first.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterable
from pathlib import Path

import xxhash

from headrace.values.errors import DiskRefused, StateRefused

# Files of the first days, and those that another tool wrote, have none.
_NAMED = re.compile(r"headrace-.*-[0-9a-f]{12}-([0-9a-f]{16})\.parquet")


class DigestedFile(io.BufferedWriter):
    """A new file that is written from its begin to its end; `digest` is of all that was written."""

    def __init__(self, path: Path) -> None:
        super().__init__(io.FileIO(path, "x"))
        self._digest = xxhash.xxh3_64()

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self._digest.update(data)
        return super().write(data)

    @property
    def digest(self) -> str:
        return self._digest.hexdigest()


def check_files(files: Iterable[Path]) -> None:
    """Reads all of `files`; StateRefused names the first that is not what was written, or gone."""
    for path in files:
        named = _NAMED.fullmatch(path.name)
        if named is None:
            continue
        try:
            with path.open("rb") as file:
                found = hashlib.file_digest(file, xxhash.xxh3_64).hexdigest()
        except FileNotFoundError as error:
            raise _damaged(path, "it is gone") from error
        except OSError as error:
            raise DiskRefused(
                f"Cannot read {path}: {error.strerror}",
                remedy="Check the disk and who may read there, then go on.",
            ) from error
        if found != named[1]:
            raise _damaged(path, "what is there is not what was written")


def _damaged(path: Path, reason: str) -> StateRefused:
    return StateRefused(
        f"{path} is damaged or missing: {reason}",
        remedy="Restore the lake's directory from a backup.",
    )
