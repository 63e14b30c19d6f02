"""A table before the first delivery: made if it is missing, else looked at column by column."""

from __future__ import annotations

from typing import Any

from headrace.storage.postgres import catalog
from headrace.storage.postgres.marks import CREATE, MARKS, Ledger, create_sql
from headrace.storage.postgres.shape import Shape
from headrace.values.errors import DestinationBehind, StateRefused
from headrace.values.schema import quote

# Those who make tables at one moment wait for each other: "if not exists" alone may fail.
_MAKING = "select pg_advisory_xact_lock(hashtext('headrace'), hashtext(%s))"


def prepare(connection: Any, shape: Shape, wanted_schema: str | None) -> str:
    """Makes what is missing, checks what is there, and returns the schema. Raises StateRefused."""
    schema = catalog.schema_of(connection, wanted_schema)
    names = [*CREATE, shape.target.name]
    if any(catalog.relation(connection, schema, name) is None for name in names):
        _make(connection, shape, schema, names)
    for name in CREATE:
        _check_rights(connection, schema, name)
    check_table(connection, shape, schema)
    return schema


def check_table(connection: Any, shape: Shape, schema: str) -> None:
    """Raises StateRefused, with the SQL that mends it, unless rows can land in the table."""
    name = shape.target.name
    table = catalog.relation(connection, schema, name)
    if table is None:
        raise DestinationBehind(
            f'Table "{name}" is gone from the schema "{schema}"',
            remedy="Start the job again: it makes the table and fills it.",
        )
    version = catalog.server_version(connection)
    problems = shape.problems(catalog.found(connection, table), schema, version)
    if problems:
        texts = "; ".join(problem.text for problem in problems)
        raise StateRefused(
            f'Table "{name}" does not fit: {texts}',
            remedy="\n".join(problem.remedy for problem in problems),
        )
    _check_rights(connection, schema, name)


def _make(connection: Any, shape: Shape, schema: str, names: list[str]) -> None:
    version = catalog.server_version(connection)
    with connection.transaction():
        connection.execute(_MAKING, (schema,))
        missing = [n for n in names if catalog.relation(connection, schema, n) is None]
        if missing and not catalog.may_create(connection, schema):
            user = catalog.user(connection)
            raise StateRefused(
                f'The user "{user}" may not make tables in the schema "{schema}"; '
                f"missing: {', '.join(missing)}",
                remedy=f"grant create on schema {quote(schema)} to {quote(user)};",
            )
        for name in missing:
            own = name in CREATE
            made = create_sql(schema, name) if own else shape.create_sql(schema, version)
            for statement in made:
                connection.execute(statement)
        if shape.target.name in missing and MARKS not in missing:
            # What was delivered went with the table that was dropped: it is to be filled again.
            Ledger(schema, shape.target.job, shape.target.name).forget(connection)


def _check_rights(connection: Any, schema: str, name: str) -> None:
    table = catalog.relation(connection, schema, name)
    missing = [] if table is None else catalog.missing_rights(connection, table)
    if missing:
        user, place = catalog.user(connection), f"{quote(schema)}.{quote(name)}"
        raise StateRefused(
            f'The user "{user}" may not {", ".join(missing)} in the table "{name}"',
            remedy=f"grant select, insert, update, delete on {place} to {quote(user)};",
        )
