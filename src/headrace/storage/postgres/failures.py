"""What PostgreSQL's errors mean to a job: try again, refuse the row, or stop in words."""

from __future__ import annotations

from typing import Any

from headrace.storage.postgres.address import Address
from headrace.storage.ways import WHAT_ANSWERS
from headrace.values.errors import HeadraceError, StateRefused, Unreachable
from headrace.values.schema import quote

# SQLSTATE classes and codes: https://www.postgresql.org/docs/current/errcodes-appendix.html
# A stream that cannot be read is our fault, never the row's.
_OF_THE_STREAM = ("22P03", "22P04")
# The classes that have nothing to do with a row. What remains has: data (22), constraints (23),
# limits such as a value too long to index (54), what triggers raise (09, 27, 2F, 38, 44, P0), and
# every class that PostgreSQL does not have, which a trigger made up.
_OTHER_CLASSES = (
    *("00", "01", "02", "03", "08", "0A", "0B", "0F", "0L", "0P", "0Z", "10", "20", "21", "24"),
    *("25", "26", "28", "2B", "2D", "34", "39", "3B", "3D", "3F", "40", "42", "53", "55", "57"),
    *("58", "72", "F0", "HV", "XX"),
)
_MAY_PASS_CLASSES = ("08", "40", "53", "55", "57", "58")
_MAY_PASS = ("25006", "25P03", "XX000")
_NO_RIGHT = "42501"
_CHANGED_CLASS = "42"
_LOCKED = "55P03"
# A row that is to go, and that rows of another table refer to.
_REFERRED_TO = ("23503", "23001")
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
    code = error.sqlstate or _OTHER_CLASSES[0]
    return code[:2] not in _OTHER_CLASSES and code not in _OF_THE_STREAM


def of_the_row_sql(sqlstate: str) -> str:
    """The same of an expression in SQL."""
    listed = ", ".join(f"'{name}'" for name in _OTHER_CLASSES)
    return f"left({sqlstate}, 2) not in ({listed})"


def is_changed_table(error: Any) -> bool:
    """Whether a table, column or index is not what it was when the job opened it."""
    code = error.sqlstate or ""
    return code[:2] == _CHANGED_CLASS and code != _NO_RIGHT


def is_locked(error: Any) -> bool:
    return bool(error.sqlstate == _LOCKED)


def is_referred_to(error: Any) -> bool:
    """Whether a row was to go that rows of another table refer to."""
    return error.sqlstate in _REFERRED_TO


def is_read_only(error: Any) -> bool:
    """Whether the session was made where, or so that, nothing can be written."""
    return bool(error.sqlstate == _READ_ONLY)


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
        return _without_code(words.removeprefix("connection failed: "), address, opening)
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
            f"{what}: it is a standby, or set to be read only",
            remedy="Name all hosts in the URL, and target_session_attrs=read-write; or see: "
            "show default_transaction_read_only;",
        )
    if is_referred_to(error):
        return StateRefused(f"{what}: {error.diag.message_detail}", remedy=_let_go(error.diag))
    if code[:2] in _MAY_PASS_CLASSES or code in _MAY_PASS:
        return Unreachable(what, remedy=WHAT_ANSWERS)
    return StateRefused(what)


def _let_go(about: Any) -> str:
    """The way on where rows that another table refers to are replaced, and some are gone."""
    place = f"{quote(about.schema_name or '')}.{quote(about.table_name or '')}"
    return (
        "Delete what refers to rows that are gone; or, where they come back while the job catches "
        "up, add the constraint again behind that:\n"
        f"alter table {place} drop constraint {quote(about.constraint_name or '')};"
    )


def _without_code(words: str, address: Address, opening: bool) -> HeadraceError:
    refused = any(text in words for text in _LOGIN_REFUSED) or _names_what_is_missing(words)
    if refused:
        kind = StateRefused if opening else Unreachable
        return kind(
            f"PostgreSQL at {address.shown} refused the login: {words}",
            remedy="Check user, password and database in the URL.",
        )
    return Unreachable(
        f"PostgreSQL at {address.shown} does not answer: {words}",
        remedy=WHAT_ANSWERS,
    )


def _names_what_is_missing(words: str) -> bool:
    return "does not exist" in words and ("database" in words or "role" in words)
