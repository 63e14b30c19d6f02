"""The names that a definition gives: which are allowed, and how lists of them are written."""

from __future__ import annotations

import re
from collections.abc import Iterable

from headrace.language.location import caller
from headrace.values.errors import DefinitionError

Names = str | Iterable[str] | None

WINDOW_COLUMNS = ("window_start", "window_end")
SESSION_COLUMNS = (
    "session_start_time",
    "session_end_time",
    "session_duration_seconds",
    "ended_by",
)
_TABLE = re.compile(r"[a-z][a-z0-9_]{0,62}")
_TOPIC = re.compile(r"[a-z][a-z0-9_.-]{0,62}")
_TAKEN = ("dead_letters", "refused_rows", "epochs", "conservation", "lake", "topic")


def names(value: Names, what: str) -> tuple[str, ...]:
    """One name, or several in a tuple or list, as a tuple; none for None.

    Raises DefinitionError, naming `what`, for anything else and for a name given twice.
    """
    if value is None:
        return ()
    listed = (value,) if isinstance(value, str) else tuple(value)
    for name in listed:
        if not isinstance(name, str) or not name.strip():
            raise DefinitionError(f"{what} takes names as text, not {name!r}", where=caller())
    if len({name.lower() for name in listed}) != len(listed):
        raise DefinitionError(f"{what} names a column twice: {', '.join(listed)}", where=caller())
    return listed


def can_be_app_name(name: object) -> bool:
    """Whether `name` can be an app's or a job's."""
    return isinstance(name, str) and _TABLE.fullmatch(name) is not None


def app_name(name: str) -> str:
    """`name` if it can be an app's or a job's: the name stands in files and addresses."""
    if not can_be_app_name(name):
        raise _bad_name(name, "an app or a job", "")
    return name


def table_name(name: str) -> str:
    """`name` if it can be a destination's that SQL reads by its bare name."""
    if not isinstance(name, str) or not _TABLE.fullmatch(name):
        raise _bad_name(name, "a destination", "")
    if name in _TAKEN:
        raise DefinitionError(
            f'"{name}" is the name of one of Headrace\'s own tables',
            where=caller(),
            remedy="Choose another name for the destination.",
        )
    return name


def topic_name(name: str) -> str:
    """`name` if it can be a topic's; "-" and "." may stand in it."""
    if not isinstance(name, str) or not _TOPIC.fullmatch(name):
        raise _bad_name(name, "a topic", ', "-", "."')
    return name


def column_name(name: str, where: str) -> str:
    """`name` if a step may make a column of it; "_…" and the window's own are reserved."""
    if not name.isidentifier() or len(name.encode()) > 63:
        raise DefinitionError(
            f"{name!r} cannot be the name of a column",
            where=where,
            remedy="Use letters, digits and _, beginning with a letter, at most 63 bytes.",
        )
    if name.startswith("_"):
        raise DefinitionError(
            f'column "{name}" begins with _; such names belong to Headrace (_offset, _late, …)',
            where=where,
        )
    if name.lower() in WINDOW_COLUMNS:
        raise DefinitionError(
            f'column "{name}" has the name of a window\'s own column',
            where=where,
            remedy="Windows add window_start and window_end by themselves; choose another name.",
        )
    return name


def is_path(text: str) -> bool:
    """Whether `text` is a column or a path into one, such as info.gameCreation."""
    return all(part.isidentifier() for part in text.strip().split("."))


def _bad_name(name: object, what: str, more: str) -> DefinitionError:
    return DefinitionError(
        f"{name!r} cannot be the name of {what}",
        where=caller(),
        remedy=f'Use small letters, digits, "_"{more}, beginning with a letter, at most 63 bytes.',
    )
