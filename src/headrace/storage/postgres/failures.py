"""What PostgreSQL's errors mean to a job: try again, refuse the row, or stop in words."""

from __future__ import annotations

from typing import Any

from headrace.storage.postgres.address import Address
from headrace.values.errors import HeadraceError, StateRefused, Unreachable

# SQLSTATE classes and codes: https://www.postgresql.org/docs/current/errcodes-appendix.html
_OF_THE_ROW_CLASSES = ("22", "23")
_OF_THE_ROW = ("44000", "54000", "P0001", "P0004")
# The same, as conditions of a PL/pgSQL handler; a class goes by the name of its first code.
ROW_CONDITIONS = (
    "data_exception or integrity_constraint_violation or with_check_option_violation "
    "or program_limit_exceeded or raise_exception or assert_failure"
)
_MAY_PASS_CLASSES = ("08", "40", "53", "55", "57", "58")
_MAY_PASS = ("25006", "25P03", "XX000")
_NO_RIGHT = "42501"
_CHANGED_CLASS = "42"
_LOCKED = "55P03"
_READ_ONLY = "25006"

# A login that fails has no code in the client library, only the server's English words.
_LOGIN_REFUSED = (
    "password authentication failed",
    "no password supplied",
    "no pg_hba.conf entry",
    "is not permitted to log in",
    "permission denied for database",
)


def is_of_the_row(error: Any) -> bool:
    """Whether the values of a row are what was refused."""
    code = error.sqlstate or ""
    return code[:2] in _OF_THE_ROW_CLASSES or code in _OF_THE_ROW


def is_changed_table(error: Any) -> bool:
    """Whether a table, column or index is not what it was when the job opened it."""
    code = error.sqlstate or ""
    return code[:2] == _CHANGED_CLASS and code != _NO_RIGHT


def is_locked(error: Any) -> bool:
    return bool(error.sqlstate == _LOCKED)


def reason(error: Any) -> str:
    """The server's own words about a row."""
    return joined(error.diag.message_primary or str(error), error.diag.message_detail)


def joined(message: str, detail: str | None) -> str:
    """Message and detail; not the detail that only repeats the row."""
    if not detail or detail.startswith("Failing row contains"):
        return message
    return f"{message}: {detail}"


def translated(error: Any, address: Address, doing: str, *, opening: bool) -> HeadraceError:
    """The error to raise for `error` of the client library while `doing` something.

    Refused rights and logins stop a job that starts; one that runs tries again.
    """
    code = error.sqlstate or ""
    words = error.diag.message_primary or address.clean(str(error)) or type(error).__name__
    what = f"PostgreSQL at {address.shown} refused to {doing}: {words}"
    if not code:
        return _without_code(words, address, doing, opening)
    if code == _NO_RIGHT:
        kind = StateRefused if opening else Unreachable
        return kind(what, remedy="Grant the right; headrace doctor names the command.")
    if code == _LOCKED:
        return Unreachable(
            f"{what}: somebody else holds a lock",
            remedy="See who: select pid, query from pg_stat_activity where state <> 'idle';",
        )
    if code == _READ_ONLY:
        return Unreachable(
            f"{what}: it is a standby",
            remedy="Name all hosts in the URL, and target_session_attrs=read-write.",
        )
    if code[:2] in _MAY_PASS_CLASSES or code in _MAY_PASS:
        return Unreachable(what)
    return StateRefused(what)


def _without_code(words: str, address: Address, doing: str, opening: bool) -> HeadraceError:
    refused = any(text in words for text in _LOGIN_REFUSED) or _names_what_is_missing(words)
    if refused:
        kind = StateRefused if opening else Unreachable
        return kind(
            f"PostgreSQL at {address.shown} refused the login: {words}",
            remedy="Check user, password and database in the URL.",
        )
    return Unreachable(f"PostgreSQL at {address.shown} could not {doing}: {words}")


def _names_what_is_missing(words: str) -> bool:
    return "does not exist" in words and ("database" in words or "role" in words)
