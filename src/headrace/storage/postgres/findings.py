"""What `headrace doctor` says of a PostgreSQL; nothing here changes anything or raises."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from headrace.storage.contract import Finding, Target
from headrace.storage.postgres import catalog
from headrace.storage.postgres.address import Address, driver
from headrace.storage.postgres.failures import translated
from headrace.storage.postgres.marks import CREATE
from headrace.storage.postgres.session import connect
from headrace.storage.postgres.shape import Shape
from headrace.storage.ways import WHAT_ANSWERS
from headrace.values.errors import HeadraceError, Unreachable
from headrace.values.schema import literal, quote

_VERSION_MIN = 130000
_NULLS_VERSION = 150000
_CLOCK_SECONDS_MAX = 5.0
_CONNECTIONS_LEFT_MIN = 5
_SYSTEM = "PostgreSQL"

Look = Callable[[Any, Address, Sequence[Target]], Iterator[Finding]]


def look(address: Address, targets: Sequence[Target]) -> list[Finding]:
    """All findings, the most basic first; after one that leaves nothing to see, no more."""
    connection = None
    found: list[Finding] = []
    try:
        connection = connect(address, "doctor")
        for one in _LOOKS:
            found += one(connection, address, targets)
    except Exception as error:
        found.append(_failed(error, address))
    finally:
        if connection is not None:
            connection.close()
    return found


def _failed(error: Exception, address: Address) -> Finding:
    if not isinstance(error, HeadraceError):
        try:
            known = driver().Error
        except HeadraceError as missing:
            return Finding("error", _SYSTEM, missing.what, missing.remedy)
        if not isinstance(error, known):
            return Finding("error", _SYSTEM, f"{type(error).__name__}: {address.clean(str(error))}")
        error = translated(error, address, "answer", opening=True)
    silent = isinstance(error, Unreachable)
    # Whoever reads this has asked doctor already.
    remedy = None if error.remedy == WHAT_ANSWERS else error.remedy
    return Finding("error", _SYSTEM, error.what, remedy or _reach(address), unreachable=silent)


def _reach(address: Address) -> str:
    return f"See whether it runs and can be reached from here: pg_isready -d '{address.shown}'"


def _version(connection: Any, address: Address, targets: Sequence[Target]) -> Iterator[Finding]:
    (full,) = connection.execute("show server_version").fetchone()
    version = catalog.server_version(connection)
    text = f"{address.shown} answers: PostgreSQL {full}"
    if version < _VERSION_MIN:
        yield Finding("warning", _SYSTEM, f"{text}; tried from 15 on", "Use PostgreSQL 15 or newer")
    elif version < _NULLS_VERSION:
        said = f"{text}; it keeps no null in a key: such rows are refused"
        yield Finding("warning", _SYSTEM, said, "Use PostgreSQL 15 or newer")
    else:
        yield Finding("ok", _SYSTEM, text)
    (standby,) = connection.execute("select pg_is_in_recovery()").fetchone()
    if standby:
        remedy = "Name all hosts in the URL, and target_session_attrs=read-write"
        yield Finding("error", _SYSTEM, "it is a standby, which takes no rows", remedy)


def _pooler(connection: Any, address: Address, targets: Sequence[Target]) -> Iterator[Finding]:
    if catalog.behind_a_pooler(connection):
        said = (
            "a pooler stands before it: deliveries need one process for the whole connection, "
            "which only pooling by session gives"
        )
        mend = "Set pool_mode = session for this database, or name the server itself in the URL."
        yield Finding("warning", _SYSTEM, said, mend)


def _durability(connection: Any, address: Address, targets: Sequence[Target]) -> Iterator[Finding]:
    for setting in ("fsync", "full_page_writes"):
        (value,) = connection.execute(f"show {setting}").fetchone()
        if value != "on":
            said = f"{setting} is off: a crash of the machine may lose or damage what was delivered"
            mend = f"alter system set {setting} = on; select pg_reload_conf();"
            yield Finding("warning", _SYSTEM, said, mend)
    (commit,) = connection.execute("show synchronous_commit").fetchone()
    yield Finding("ok", _SYSTEM, f"deliveries commit with synchronous_commit = {commit}")


def _clock(connection: Any, address: Address, targets: Sequence[Target]) -> Iterator[Finding]:
    before = time.time()
    (theirs,) = connection.execute(
        "select extract(epoch from clock_timestamp())::float8"
    ).fetchone()
    apart = theirs - (before + time.time()) / 2
    if abs(apart) > _CLOCK_SECONDS_MAX:
        said = f"its clock is {abs(apart):.1f} s {'ahead of' if apart > 0 else 'behind'} this one"
        yield Finding("warning", _SYSTEM, said, "Synchronise the clocks: timedatectl set-ntp true")
    else:
        yield Finding("ok", _SYSTEM, f"its clock is {abs(apart) * 1000:.0f} ms from this one")


def _connections(connection: Any, address: Address, targets: Sequence[Target]) -> Iterator[Finding]:
    left, limit = connection.execute(
        "select current_setting('max_connections')::int "
        "- current_setting('superuser_reserved_connections')::int "
        "- (select count(*) from pg_stat_activity where datid is not null)::int, "
        "current_setting('max_connections')::int"
    ).fetchone()
    needed = max(_CONNECTIONS_LEFT_MIN, len(targets) + 2)
    text = f"{left} of {limit} connections are free"
    if left < needed:
        mend = f"alter system set max_connections = {limit + 50}; and restart it"
        yield Finding("warning", _SYSTEM, f"{text}; a job takes {len(targets) + 2}", mend)
    else:
        yield Finding("ok", _SYSTEM, text)


def _rights(connection: Any, address: Address, targets: Sequence[Target]) -> Iterator[Finding]:
    user = quote(catalog.user(connection))
    schema = catalog.schema_of(connection, address.schema)
    database, may_stage = connection.execute(
        "select current_database(), has_database_privilege(current_database(), 'temporary')"
    ).fetchone()
    if not may_stage:
        mend = f"grant temporary on database {quote(database)} to {user};"
        yield Finding("error", f"database {database}", f"{user} may not stage rows there", mend)
    names = [*CREATE, *(target.name for target in targets)]
    missing = [name for name in names if catalog.relation(connection, schema, name) is None]
    if missing and not catalog.may_create(connection, schema):
        said = f"{user} may not make tables in it; missing: {', '.join(missing)}"
        mend = f"grant create on schema {quote(schema)} to {user};"
        yield Finding("error", f"schema {schema}", said, mend)
    else:
        yield Finding("ok", f"schema {schema}", f"tables of {user} in the database {database}")
    for name in sorted(set(names) - set(missing)):
        table = catalog.relation(connection, schema, name)
        rights = [] if table is None else catalog.missing_rights(connection, table)
        place = f"{quote(schema)}.{quote(name)}"
        if table is not None and catalog.rows_are_guarded(connection, table):
            said = f"row security hides rows of it from {user}, or refuses them"
            mend = f"alter table {place} disable row level security;"
            yield Finding("error", f"table {name}", said, mend)
        if rights:
            mend = f"grant select, insert, update, delete on {place} to {user};"
            yield Finding("error", f"table {name}", f"{user} may not {', '.join(rights)}", mend)


def _tables(connection: Any, address: Address, targets: Sequence[Target]) -> Iterator[Finding]:
    schema = catalog.schema_of(connection, address.schema)
    for target in targets:
        yield from _table(connection, schema, target)


def _table(connection: Any, schema: str, target: Target) -> Iterator[Finding]:
    subject = f"table {target.name}"
    try:
        shape = Shape(target)
    except HeadraceError as error:
        yield Finding("error", subject, error.what, error.remedy)
        return
    table = catalog.relation(connection, schema, target.name)
    if table is None:
        yield Finding("ok", subject, "is not there yet; the job makes it")
        return
    version = catalog.server_version(connection)
    problems = shape.problems(catalog.found(connection, table), schema, version)
    for problem in problems:
        yield Finding("error", subject, problem.text, problem.remedy)
    (owner,) = connection.execute(
        f"select (select job from {quote(schema)}.headrace_marks where output = "
        f"{literal(target.name)})"
        if catalog.relation(connection, schema, "headrace_marks") is not None
        else "select null"
    ).fetchone()
    if owner is not None and owner != target.job:
        mend = "Give the job a schema of its own: postgresql://…/database?schema=NAME"
        yield Finding("error", subject, f'it belongs to the job "{owner}"', mend)
    elif not problems:
        yield Finding("ok", subject, "is there, and its columns and key fit")


_LOOKS: tuple[Look, ...] = (_version, _pooler, _durability, _clock, _connections, _rights, _tables)
