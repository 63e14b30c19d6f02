"""Every error of PostgreSQL means something: the row's fault, a retry, or a stop in words."""

from __future__ import annotations

import inspect

import pytest
from psycopg import errors

from headrace.storage.postgres.address import parse
from headrace.storage.postgres.failures import is_of_the_row, translated
from headrace.storage.postgres.shape import Shape
from headrace.values.errors import StateRefused, Unreachable
from tests.storage.postgres.targets import target

ADDRESS = parse("postgresql://app:s3cr3t@h/d")
KNOWN = {
    error.sqlstate: error
    for _, error in inspect.getmembers(errors, inspect.isclass)
    if isinstance(getattr(error, "sqlstate", None), str)
}

PASSES = [
    *("AdminShutdown", "CannotConnectNow", "ConnectionFailure", "CrashShutdown", "DatabaseDropped"),
    *("DeadlockDetected", "DiskFull", "IoError", "LockNotAvailable", "OutOfMemory"),
    *("ObjectInUse", "QueryCanceled", "ReadOnlySqlTransaction", "SerializationFailure"),
    *("StatementCompletionUnknown", "TooManyConnections", "IdleInTransactionSessionTimeout"),
]
OF_THE_ROW = [
    *("CheckViolation", "ForeignKeyViolation", "NotNullViolation", "NumericValueOutOfRange"),
    *("DatetimeFieldOverflow", "ProgramLimitExceeded", "RaiseException", "UniqueViolation"),
    *("StringDataRightTruncation", "UntranslatableCharacter", "ExclusionViolation"),
    *("WithCheckOptionViolation", "CharacterNotInRepertoire", "AssertFailure"),
]
STOPS = [
    "UndefinedColumn",
    "UndefinedTable",
    "DatatypeMismatch",
    "BadCopyFileFormat",
    "SyntaxError",
]


def test_what_a_row_may_be_refused_for() -> None:
    of_rows = {name for name, error in vars(errors).items() if error in KNOWN.values()}
    of_rows = {name for name in of_rows if is_of_the_row(getattr(errors, name)("x"))}
    assert set(OF_THE_ROW) <= of_rows
    assert not of_rows & {*PASSES, *STOPS, "InsufficientPrivilege", "CardinalityViolation"}
    made_up = errors.RaiseException("x")
    made_up.sqlstate = "MY001"
    assert is_of_the_row(made_up)
    assert not is_of_the_row(errors.OperationalError("no code: the connection is lost"))


@pytest.mark.parametrize("opening", [True, False])
def test_what_may_pass_is_tried_again(opening: bool) -> None:
    for name in PASSES:
        error = translated(getattr(errors, name)("x"), ADDRESS, "deliver", opening=opening)
        assert isinstance(error, Unreachable), name
    for name in STOPS:
        error = translated(getattr(errors, name)("x"), ADDRESS, "deliver", opening=opening)
        assert isinstance(error, StateRefused), name


def test_rights_and_logins_stop_a_start_and_not_a_job() -> None:
    for error in (
        errors.InsufficientPrivilege("permission denied for table t"),
        errors.OperationalError('FATAL: password authentication failed for user "app"'),
        errors.OperationalError('FATAL: database "d" does not exist'),
    ):
        assert isinstance(translated(error, ADDRESS, "open", opening=True), StateRefused)
        assert isinstance(translated(error, ADDRESS, "deliver", opening=False), Unreachable)


def test_every_error_is_translated_without_secrets() -> None:
    for error in KNOWN.values():
        made = translated(error("with s3cr3t inside"), ADDRESS, "deliver", opening=False)
        assert "s3cr3t" not in str(made)
        assert made.fault in ("user", "system")


def test_before_version_15_a_null_in_a_key_is_refused() -> None:
    shape = Shape(target())
    old, new = shape.create_sql("public", 140000), shape.create_sql("public", 150000)
    assert 'primary key ("page_url", "window_start")' in old[0]
    assert not any("nulls not distinct" in statement for statement in old)
    assert any("nulls not distinct" in statement for statement in new)
