"""Files that the engine finds damaged only when it reads them: which, and the way on."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb

from headrace.storage.durable import sync_directory
from headrace.values.errors import StateDamaged, StateRefused
from headrace.values.points import reach

_CORRUPT = re.compile(r"Corrupt database file|[Cc]hecksum|could not be read: corrupt")
_SHORT = re.compile(r'Could not read enough bytes from file "([^"]+)"')
_OF_LOG = re.compile(r"\bWAL\b")
_PARQUET = re.compile(r"(/[^\"'\n]*?\.parquet)")
_FILE = re.compile(r"[\"']([^\"'\n]*[/.][^\"'\n]*)[\"']")
_OF_LAKES = re.compile(r"arquet|No files found|magic bytes|ecompress|Thrift|TProtocol|Zstd|ZSTD")


@contextmanager
def damage_in_words(state: Path) -> Iterator[None]:
    """Raises StateRefused for what the block finds damaged in the file `state`, or in a lake.

    StateDamaged where it is the state.
    """
    try:
        yield
    except duckdb.Error as error:
        refused = damage(state, error)
        if refused is None:
            raise
        raise refused from error


def damage(
    state: Path, error: duckdb.Error, *, lakes: Sequence[Path] | None = None
) -> StateRefused | None:
    """The damaged file that `error` tells of, in words; None where it is about something else.

    `lakes` are the directories of all that were read, where a user's text may read other files too.
    """
    first = str(error).splitlines()[0]
    if isinstance(error, duckdb.BinderException | duckdb.ParserException):
        return None
    named = _PARQUET.search(str(error))
    if (named is not None or _OF_LAKES.search(first)) and _may_be_of(lakes, str(error)):
        return StateRefused(
            f"{named[1] if named else 'A file of a lake'} is damaged or missing: {first}",
            remedy="Restore the lake's directory from a backup.",
        )
    short = _SHORT.search(first)
    if (short is not None and short[1].startswith(str(state))) or _CORRUPT.search(first):
        return unreadable(file_of(state, first), f"is damaged: {first}")
    return None


def _may_be_of(lakes: Sequence[Path] | None, said: str) -> bool:
    """Whether what the engine `said` may be about a file of `lakes`: it seldom names one."""
    if lakes is None:
        return True
    files = _FILE.findall(said)
    return any(f.startswith(f"{lake}/") for lake in lakes for f in files) or bool(
        lakes and not files
    )


def unreadable(file: Path, what: str) -> StateDamaged:
    """The error for a file of a state of which `what` is said, with the ways on."""
    return StateDamaged(
        f"{file} {what}",
        remedy="Restore it from a backup, or rebuild the state: headrace state reset APP",
    )


def log_of(state: Path) -> Path:
    """The engine's log beside the file `state`: what was committed and is not in the file yet."""
    return state.with_name(f"{state.name}.wal")


def file_of(state: Path, said: str) -> Path:
    """The file that the engine's words are about, `state` or its log: it does not always say."""
    return log_of(state) if _OF_LOG.search(said) else state


def put_aside(state: Path) -> None:
    """Makes room for a new state: the damaged one stays beside it, for whoever can read it."""
    # The log first: the engine removes one without a state.
    for path in (log_of(state), state):
        if path.exists():
            path.replace(path.with_name(f"{path.name}.damaged"))
            reach("state.moved.aside")
    sync_directory(state.parent)
