"""Tables that are there before the job: what fits, what does not, and the SQL that mends it."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import pytest

from headrace.storage.contract import Target
from headrace.storage.postgres.system import PostgresSystem
from headrace.values.errors import DefinitionError, StateRefused
from tests.servers.names import Database
from tests.storage.postgres.targets import JOB, delivery, mark, served, target

COLUMNS = (
    ("k", "VARCHAR"),
    ("window_start", "TIMESTAMP"),
    ("n", "BIGINT"),
    ("x", "DOUBLE"),
    ("d", "DECIMAL(10,2)"),
)
OF = target("counts", COLUMNS, ["k", "window_start"])
GOOD = {
    "k": "text",
    "window_start": "timestamptz",
    "n": "bigint",
    "x": "double precision",
    "d": "numeric(10,2)",
}
KEY = "create unique index on counts (window_start, k) nulls not distinct"


def created(**changed: str | None) -> str:
    listed = ", ".join(f"{n} {t}" for n, t in (GOOD | changed).items() if t is not None)
    return f"create table counts ({listed})"


FITS = [
    [created(), KEY],
    [created(k="varchar(9) not null"), "create unique index on counts (k, window_start)"],
    [created(window_start="timestamp", n="numeric(25,2)", d="numeric", k="varchar"), KEY],
    [created(more="text default 'x' not null", made="text generated always as ('a') stored"), KEY],
    [created(nr="bigint generated always as identity"),
     "alter table counts add primary key (k, window_start)"],
    [created() + " partition by list (k)", "create table counts_rest partition of counts default",
     "alter table counts add primary key (k, window_start)"],
    ["create domain name_of_a_page as varchar", created(k="name_of_a_page"), KEY],
]  # fmt: skip


@pytest.mark.parametrize("statements", FITS)
def test_tables_that_can_hold_the_rows_are_taken(database: Database, statements: list[str]) -> None:
    with database.connect() as connection:
        for statement in statements:
            connection.execute(statement)
    table = PostgresSystem(database.dsn).destination(OF)
    assert table.open(JOB, 1) is None
    at = datetime(2026, 1, 1)
    rows = [("u", "a", at, 3, 0.5, Decimal("1.25")), ("u", "b", at, 4, None, None)]
    assert table.deliver(delivery(OF, rows), mark(1)) == 2
    assert table.deliver(delivery(OF, [("d", "b", at, None, None, None)]), mark(2)) == 1
    assert served(database.dsn, OF) == [("a", at, 3, 0.5, Decimal("1.25"))]


# What is there, the words, and whether the remedy's SQL mends it as it stands.
REFUSED = [
    ([created(n=None), KEY], 'no column "n"', True),
    ([created(n="integer"), KEY], '"n" is integer, which cannot hold every bigint', True),
    ([created(d="numeric(10,1)"), KEY], r"\"d\" is numeric\(10,1\)", True),
    ([created(d="numeric(9,2)"), KEY], r"\"d\" is numeric\(9,2\)", True),
    ([created(x="real"), KEY], '"x" is real', True),
    ([created(window_start="timestamp(0)"), KEY], r"timestamp\(0\)", True),
    ([created(k="integer"), KEY], '"k" is integer', True),
    ([created(k=None, K="text").replace("K", '"K"')], '"K" should be "k", to the letter', False),
    ([created(x="double precision not null"), KEY], '"x" must not be null', True),
    ([created(more="text not null"), KEY], '"more" must not be null', True),
    ([created(n="bigint generated always as (1) stored"), KEY], '"n" is generated', True),
    ([created()], "unique index .* is missing", True),
    ([created(), "create unique index on counts (k, window_start)"],
     "two nulls for different", True),
    ([created(), KEY + " where n > 0"], "is missing", True),
    ([created(), "alter table counts add unique nulls not distinct (k, window_start) deferrable"],
     "is missing", True),
    ([created(), KEY, "alter table counts add primary key (k)"],
     r"unique index on \(k\) takes one row", True),
    ([created(), KEY, 'create unique index "on Monday" on counts (window_start)'],
     r"unique index on \(window_start\) takes one row", True),
    ([created(), KEY, "create unique index on counts ((true))"],
     r"unique index on \(true\) takes one row", True),
    ([created(more="text"), KEY, "alter table counts add primary key (k, more)"],
     r"its primary key \(k, more\) holds what may be null", True),
    ([created(), KEY, "alter table counts add primary key (n, k)"],
     r"its primary key \(k, n\) holds what may be null", True),
    (["create view counts as select 1 as k"], "no table", False),
]  # fmt: skip


@pytest.mark.parametrize(("statements", "words", "mends"), REFUSED, ids=[r[1] for r in REFUSED])
def test_tables_that_do_not_fit_are_refused_with_the_sql_that_mends_them(
    database: Database, statements: list[str], words: str, mends: bool
) -> None:
    table = PostgresSystem(database.dsn).destination(OF)
    with database.connect() as connection:
        for statement in statements:
            connection.execute(statement)
        with pytest.raises(StateRefused, match=words) as refused:
            table.open(JOB, 1)
        findings = PostgresSystem(database.dsn).findings([OF], {})
        assert any(f.level == "error" and f.remedy in str(refused.value) for f in findings)
        if mends:
            for statement in str(refused.value.remedy).splitlines():
                connection.execute(statement)
            assert table.open(JOB, 1) is None


@pytest.mark.parametrize("required", [("k", "c"), ()], ids=["never null", "nullable"])
@pytest.mark.parametrize(
    ("before", "now"),
    [(["k"], ["k", "c"]), (["k", "c"], ["k"]), (["k"], []), ([], ["k"]), (["k"], ["c"])],
    ids=str,
)
def test_a_table_made_for_another_key_is_made_again(
    database: Database, before: list[str], now: list[str], required: tuple[str, ...]
) -> None:
    def of(key: list[str]) -> Target:
        columns = [("k", "VARCHAR"), *[("c", "VARCHAR")] * ("c" in key), ("n", "BIGINT")]
        known = tuple(name for name in required if name in key)
        return target("counts", columns, key, required=known)

    system = PostgresSystem(database.dsn)
    old, new = system.destination(of(before)), system.destination(of(now))
    old.open(JOB, 1)
    row = ["u", "a", *["x"] * ("c" in before), 1]
    assert old.deliver(delivery(of(before), [row]), mark(1)) == 1
    with pytest.raises(StateRefused, match="(?s)it was made for the key.*drop table") as refused:
        new.open(JOB, 2)
    with database.connect() as connection:
        connection.execute(str(refused.value.remedy))
    assert new.open(JOB, 2) is None
    several = {"": [["u", "a", 1]], "k": [["u", "a", 1], ["u", "b", 1]]}
    rows = several.get("".join(now), [["u", "a", "x", 1], ["u", "a", "y", 1]])
    assert new.deliver(delivery(of(now), rows), mark(1)) == len(rows)
    assert len(served(database.dsn, of(now))) == len(rows)


def test_a_column_dropped_under_the_job_stops_it_in_words(database: Database) -> None:
    table = PostgresSystem(database.dsn).destination(OF)
    table.open(JOB, 1)
    with database.connect() as connection:
        connection.execute("alter table counts drop column x")
    with pytest.raises(StateRefused, match='no column "x"'):
        table.deliver(delivery(OF, [("u", "a", None, 3, 0.5, None)]), mark(1))


def test_names_are_quoted(database: Database) -> None:
    of = target(
        'select "Table"; drop',
        [
            ("order", "VARCHAR"),
            ("GROUP", "BIGINT"),
            ("naïve %s {x}", "BIGINT"),
            ("it's", "VARCHAR"),
        ],
        ["order", "GROUP"],
    )
    table = PostgresSystem(database.dsn).destination(of)
    table.open(JOB, 1)
    rows = [("u", "a", 1, 2, "x"), ("u", None, 1, 3, "y")]
    assert table.deliver(delivery(of, rows), mark(1)) == 2
    assert table.deliver(delivery(of, [("d", None, 1, None, None)]), mark(2)) == 1
    with database.connect() as connection:
        connection.execute("""alter table "select ""Table""; drop" add check ("it's" <> 'z')""")
    assert table.deliver(delivery(of, [("u", "b", 1, 2, "z"), ("u", "c", 1, 2, "x")]), mark(3)) == 1
    assert served(database.dsn, of) == [("a", 1, 2, "x"), ("c", 1, 2, "x")]


def test_a_schema_of_any_name_is_used(database: Database) -> None:
    with database.connect() as connection:
        connection.execute('create schema "My %s ""Schema"')
    dsn = f"{database.dsn}?schema=My%20%25s%20%22Schema"
    of = target("counts", [("k", "BIGINT"), ("v", "BIGINT")], ["k"])
    table = PostgresSystem(dsn).destination(of)
    for incarnation in (1, 2):
        table.open(JOB, incarnation)
        assert table.deliver(delivery(of, [("u", 1, incarnation)]), mark(incarnation)) == 1
        with database.connect() as connection:
            connection.execute('drop table if exists "My %s ""Schema".counts')
    assert table.open(JOB, 3) is None
    assert table.refusals(0) == []
    assert served(dsn, of) == []
    assert all(f.level == "ok" for f in PostgresSystem(dsn).findings([of], {}))
    with pytest.raises(StateRefused, match='no schema "none"') as refused:
        PostgresSystem(f"{database.dsn}?schema=none").destination(of).open(JOB, 1)
    assert refused.value.remedy == 'Make it: create schema "none";'


@pytest.mark.parametrize(
    ("name", "column", "words"),
    [
        ("ü" * 32, "k", "64 bytes"),
        ("fine", "k" * 64, "64 bytes"),
        ("fine", "ctid", "for itself"),
        ("headrace_marks", "k", "Headrace itself"),
    ],
)
def test_names_that_postgres_cannot_have_are_refused(name: str, column: str, words: str) -> None:
    with pytest.raises(DefinitionError, match=words):
        PostgresSystem("postgresql://h/d").destination(target(name, [(column, "BIGINT")], [column]))


def test_the_longest_name_is_taken(database: Database) -> None:
    of = target("n" * 63, [("k" * 63, "BIGINT")], ["k" * 63])
    table = PostgresSystem(database.dsn).destination(of)
    table.open(JOB, 1)
    assert table.deliver(delivery(of, [("u", 1), ("u", 2)]), mark(1)) == 2
    assert table.deliver(delivery(of, [("d", 1), ("u", 2)]), mark(2)) == 2
    assert served(database.dsn, of) == [(2,)]


def test_a_table_is_made_with_key_types_and_comments(database: Database) -> None:
    certain = target("certain", COLUMNS, ["k", "window_start"], required=("k",))
    for of in (OF, certain):
        PostgresSystem(database.dsn).destination(of).open(JOB, 1)
    with database.connect() as connection:
        keys = connection.execute(
            "select indrelid::regclass::text, indisprimary, indnullsnotdistinct from pg_index "
            "where indrelid in ('counts'::regclass, 'certain'::regclass) order by 1"
        ).fetchall()
        about = connection.execute(
            "select obj_description('counts'::regclass), col_description('counts'::regclass, 2)"
        ).fetchone()
    assert keys == [("certain", True, False), ("counts", False, True)]
    assert about == (
        "Headrace: counts of the job shop, one row for each k, window_start",
        "DuckDB TIMESTAMP, UTC",
    )


def test_missing_rights_are_named_with_the_grant(database: Database) -> None:
    user = f"app_{database.name}"
    with database.connect() as connection:
        connection.execute(f"create role {user} login password 'pw'")
        try:
            dsn = database.dsn.replace("postgres:headrace@", f"{user}:pw@")
            table = PostgresSystem(dsn).destination(OF)
            seen: list[str] = []
            for _ in range(9):
                findings = PostgresSystem(dsn).findings([OF], {})
                errors = [f.remedy for f in findings if f.level == "error"]
                try:
                    table.open(JOB, 1)
                    break
                except StateRefused as refused:
                    seen.append(str(refused.remedy))
                    assert refused.remedy in errors
                    connection.execute(str(refused.remedy))
            assert seen == [f'grant create on schema "public" to "{user}";']
            assert errors == []
            connection.execute(f"revoke insert on counts from {user}")
            connection.execute("alter table counts owner to postgres")
            with pytest.raises(StateRefused, match="may not"):
                table.open(JOB, 2)
        finally:
            connection.execute(f"drop owned by {user}")
            connection.execute(f"drop role {user}")
