"""Every type of value lands, and is read again, as it was."""

from __future__ import annotations

from typing import Any

import duckdb
import pytest

from headrace.storage.postgres.system import PostgresSystem
from headrace.storage.postgres.types import kind_of
from headrace.values.errors import DefinitionError
from tests.servers.names import Database
from tests.storage.postgres.targets import JOB, mark, target

# DuckDB type: the column made for it, and values as SQL (null comes along everywhere).
VALUES: dict[str, tuple[str, list[str]]] = {
    "BOOLEAN": ("boolean", ["true", "false"]),
    "TINYINT": ("smallint", ["-128", "127"]),
    "USMALLINT": ("integer", ["0", "65535"]),
    "INTEGER": ("integer", ["-2147483648", "2147483647"]),
    "UINTEGER": ("bigint", ["4294967295"]),
    "BIGINT": ("bigint", ["-9223372036854775808", "0", "9223372036854775807"]),
    "UBIGINT": ("numeric(20,0)", ["18446744073709551615"]),
    "HUGEINT": ("numeric(39,0)", ["99999999999999999999999999999999999999", "-1", "0"]),
    "FLOAT": ("real", ["1.5", "'nan'", "'-inf'"]),
    "DOUBLE": ("double precision", ["0.1", "'-0.0'", "1e308", "'nan'", "'inf'", "'-inf'"]),
    "DECIMAL(18,2)": ("numeric(18,2)", ["0.00", "-0.01", "9999999999999999.99"]),
    "DECIMAL(38,10)": ("numeric(38,10)", ["0.0000000001", "1234567890123456789012345678.5"]),
    "VARCHAR": (
        "text",
        ["''", "' '", r"'a\b\n\N\\'", "e'line\\nnext\\r\\ttab'",
         "'ß漢😀'", "'\"q\", ''s'''", "'NULL'"],
    ),
    "BLOB": ("bytea", [r"'\x00\xFF'::blob", "''::blob", "'plain'::blob"]),
    "UUID": ("uuid", ["'9f8e3a30-0000-4000-8000-000000000001'"]),
    "DATE": ("date", ["'1970-01-01'", "'0044-03-15 (BC)'", "'9999-12-31'", "'infinity'"]),
    "TIME": ("time without time zone", ["'00:00:00'", "'23:59:59.999999'"]),
    "TIMESTAMP": (
        "timestamp with time zone",
        [
            "'2026-01-01 00:00:00.000001'",
            "'1969-12-31 23:59:59.999999'",
            "'4713-01-01 (BC) 00:00:00'",
            "'294247-01-01'",
            "'infinity'",
            "'-infinity'",
        ],
    ),
    "TIMESTAMP_S": ("timestamp with time zone", ["'2026-01-01 00:00:01'"]),
    "TIMESTAMP_MS": ("timestamp with time zone", ["'2026-01-01 00:00:00.001'"]),
    "TIMESTAMP WITH TIME ZONE": ("timestamp with time zone", ["'2026-01-01 00:00:00'"]),
    "ENUM('a', 'b')": ("text", ["'b'", "'a'"]),
    "JSON": ("jsonb", ["""'{"a": [1, "x"]}'""", "'null'"]),
    "INTERVAL": ("interval", ["'1 month 2 days 00:00:03.5'", "'-1 year'"]),
    "BIGINT[]": ("bigint[]", ["[]", "[1, null, -3]", "[null]"]),
    "VARCHAR[]": ("text[]", ["['', 'a,\"b', null, '{}', 'NULL']", "[]"]),
    "DOUBLE[]": ("double precision[]", ["['1.5', 'nan', 'inf']"]),
    "TIMESTAMP[]": ("timestamp with time zone[]", ["['2026-01-01 00:00:00.5', null]"]),
    "DECIMAL(18,2)[]": ("numeric(18,2)[]", ["['1.25', null]"]),
    "STRUCT(a BIGINT, b VARCHAR[])": ("jsonb",
        ["{'a': 1, 'b': ['x', null]}", "{'a': null, 'b': null}"]),
    "STRUCT(a BIGINT)[]": ("jsonb", ["[{'a': 1}]", "[]"]),
    "MAP(VARCHAR, BIGINT)": ("jsonb", ["map {'': 2, 'k': 1}"]),
}  # fmt: skip


@pytest.mark.parametrize("chunk", ["whole", "sliced"])
def test_values_of_every_type_come_back(database: Database, chunk: str) -> None:
    columns = [(f"c{n}", type_) for n, type_ in enumerate(VALUES)]
    count = max(len(values) for _, values in VALUES.values()) + 1
    rows = ", ".join(
        "("
        + ", ".join(
            [f"{row}::bigint"]
            + [
                f"cast({values[row] if row < len(values) else 'null'} as {type_})"
                for type_, (_, values) in VALUES.items()
            ]
        )
        + ")"
        for row in range(count)
    )
    names = ", ".join(["id", *(name for name, _ in columns)])
    of = target("every", [("id", "BIGINT"), *columns], key=["id"])
    with duckdb.connect() as connection:
        sent = connection.sql(f"select 'u' as _op, * from (values {rows}) t({names})")
        table = sent.to_arrow_table()
    if chunk == "sliced":
        table = table.slice(1)
    system = PostgresSystem(database.dsn)
    destination = system.destination(of)
    destination.open(JOB, 1)
    assert destination.deliver(table, mark(1)) == len(table)
    snapshot = system.snapshot([of])
    read = snapshot.rows(of).read_all()
    assert read.schema.types == table.schema.types[1:]
    assert texts(read) == texts(table.drop_columns(["_op"]))
    snapshot.close()
    destination.close()


def test_the_columns_have_the_types_that_belong_to_them(database: Database) -> None:
    for type_, (column, _) in VALUES.items():
        assert kind_of("c", type_).column == column
    of = target("every", [(f"c{n}", t) for n, t in enumerate(VALUES)], key=["c5"])
    PostgresSystem(database.dsn).destination(of).open(JOB, 1)
    with database.connect() as connection:
        found = connection.execute(
            "select format_type(atttypid, atttypmod) from pg_attribute "
            "where attrelid = 'every'::regclass and attnum > 0 order by attnum"
        ).fetchall()
    assert [row[0] for row in found] == [column for column, _ in VALUES.values()]


@pytest.mark.parametrize("type_", ["BIT", "BLOB[]", "TIMESTAMP_NS", "VARINT"])
def test_other_types_are_refused_in_words(type_: str) -> None:
    with pytest.raises(DefinitionError, match="cannot hold"):
        kind_of("c", type_)


def texts(table: Any) -> list[tuple[Any, ...]]:
    """The rows as text: Python has no words for some times, and NaN is not equal to itself."""
    with duckdb.connect() as connection:
        relation = connection.from_arrow(table).project("columns(*)::varchar")
        return sorted(relation.fetchall())
