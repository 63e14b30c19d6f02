"""What a database holds: versions, schemas, tables as they are, rights."""

from __future__ import annotations

from typing import Any

from headrace.storage.postgres.shape import Found, FoundColumn, FoundIndex
from headrace.values.errors import StateRefused
from headrace.values.schema import quote

# A domain is looked through to its base: what it forbids, it forbids row by row.
_COLUMNS = """
with recursive bases(attnum, oid, typmod) as (
    select attnum, atttypid, atttypmod from pg_attribute
    where attrelid = %(table)s and attnum > 0 and not attisdropped
    union all
    select b.attnum, t.typbasetype, t.typtypmod
    from bases b join pg_type t on t.oid = b.oid where t.typtype = 'd'
)
select a.attname, format_type(b.oid, b.typmod), a.attnotnull,
    a.atthasdef or a.attidentity <> '', a.attgenerated <> '' or a.attidentity = 'a'
from pg_attribute a join bases b using (attnum) join pg_type t on t.oid = b.oid
where a.attrelid = %(table)s and t.typtype <> 'd' order by a.attnum
"""
_INDEXES = """
select array_agg(a.attname::text), bool_or({nulls_equal}), {about}
from pg_index i join pg_class n on n.oid = i.indexrelid
cross join lateral unnest(i.indkey::int2[]) with ordinality as k(attnum, nth)
join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
where i.indrelid = %(table)s and i.indisunique and i.indisvalid and i.indimmediate
    and i.indpred is null and i.indexprs is null and k.nth <= i.indnkeyatts
group by i.indexrelid, n.relname, i.indisprimary
union all
select array[]::text[], true, {about} from pg_index i join pg_class n on n.oid = i.indexrelid
where i.indrelid = %(table)s and i.indisunique and i.indisvalid and i.indimmediate
    and i.indpred is null and i.indnatts = 1 and pg_get_expr(i.indexprs, i.indrelid) = 'true'
"""
_OF_AN_INDEX = (
    "n.relname::text, i.indisprimary, exists(select from pg_constraint c "
    "where c.conindid = i.indexrelid and c.contype in ('p', 'u'))"
)
_OUTLINE = """
select string_agg(format('%%s %%s %%s %%s %%s %%s%%s', attnum, attname, atttypid, atttypmod,
    atthasdef, attidentity, attgenerated), ',' order by attnum)
from pg_attribute where attrelid = to_regclass(%s) and attnum > 0 and not attisdropped
"""


def server_version(connection: Any) -> int:
    """As `server_version_num`: 150018 for 15.18."""
    return int(connection.info.server_version)


def schema_of(connection: Any, wanted: str | None) -> str:
    """The schema `wanted`, or the first of the search path; StateRefused if there is none."""
    if wanted is None:
        (current,) = connection.execute("select current_schema()").fetchone()
        if current is None:
            raise StateRefused(
                "No schema of the search path is there",
                remedy="Name one in the URL: postgresql://…/database?schema=public",
            )
        return str(current)
    if connection.execute("select to_regnamespace(%s)", (quote(wanted),)).fetchone()[0] is None:
        raise StateRefused(
            f'The database has no schema "{wanted}"',
            remedy=f"Make it: create schema {quote(wanted)};",
        )
    return wanted


def relation(connection: Any, schema: str, name: str) -> int | None:
    """The number of a relation; None if there is none of that name."""
    place = f"{quote(schema)}.{quote(name)}"
    found = connection.execute("select to_regclass(%s)::oid", (place,)).fetchone()[0]
    return None if found is None else int(found)


def found(connection: Any, table: int) -> Found:
    """What the relation with that number looks like."""
    equal = "i.indnullsnotdistinct" if server_version(connection) >= 150000 else "false"
    names = {"table": table}
    kind, comment = connection.execute(
        "select relkind::text, obj_description(oid, 'pg_class') from pg_class "
        "where oid = %(table)s",
        names,
    ).fetchone()
    columns = connection.execute(_COLUMNS, names)
    indexes = connection.execute(_INDEXES.format(nulls_equal=equal, about=_OF_AN_INDEX), names)
    return Found(
        kind,
        [FoundColumn(*row) for row in columns.fetchall()],
        [FoundIndex(frozenset(listed), *about) for listed, *about in indexes.fetchall()],
        comment or "",
    )


def outline(connection: Any, schema: str, name: str) -> str:
    """The columns of a relation in short: another text once one of them was altered.

    But for a `not null`, which is one more thing that a row may be refused for.
    """
    asked = connection.execute(_OUTLINE, (f"{quote(schema)}.{quote(name)}",))
    return str(asked.fetchone()[0])


def user(connection: Any) -> str:
    return str(connection.execute("select current_user").fetchone()[0])


def may_create(connection: Any, schema: str) -> bool:
    """Whether the user may make tables in the schema."""
    asked = connection.execute("select has_schema_privilege(%s, 'create')", (schema,))
    return bool(asked.fetchone()[0])


def missing_rights(connection: Any, table: int) -> list[str]:
    """Which of select, insert, update, delete the user does not have on a table."""
    wanted = ("select", "insert", "update", "delete")
    asked = connection.execute(
        "select " + ", ".join("has_table_privilege(%s::oid, %s)" for _ in wanted),
        [value for right in wanted for value in (table, right)],
    ).fetchone()
    return [right for right, has in zip(wanted, asked, strict=True) if not has]


def behind_a_pooler(connection: Any) -> bool:
    """Whether the process that answers is another than the one that the connection was given.

    A pooler gives out numbers of its own, since it lends one process to many connections.
    """
    (answering,) = connection.execute("select pg_backend_pid()").fetchone()
    return bool(answering != connection.info.backend_pid)


def rows_are_guarded(connection: Any, table: int) -> bool:
    """Whether row security decides which rows of a table the user sees and writes."""
    return bool(connection.execute("select row_security_active(%s::oid)", (table,)).fetchone()[0])
