"""What `headrace doctor` says of a PostgreSQL."""

from __future__ import annotations

import secrets
from types import SimpleNamespace

import pytest

from headrace.storage.contract import Finding, Target
from headrace.storage.postgres import catalog
from headrace.storage.postgres.system import PostgresSystem
from tests.servers.names import Database
from tests.servers.ports import free_port
from tests.storage.postgres.targets import JOB, target

OF = target()


def errors(found: list[Finding]) -> list[tuple[str, str]]:
    return [(f.subject, f.text) for f in found if f.level == "error"]


def test_a_database_that_is_well(database: Database) -> None:
    system = PostgresSystem(database.dsn)
    before = system.findings([OF], {})
    assert {f.level for f in before} == {"ok"}
    assert any("not there yet" in f.text for f in before)
    with database.connect() as connection:
        assert connection.execute("select to_regclass('page_view_counts')").fetchone() == (None,)
    system.destination(OF).open(JOB, 1)
    after = system.findings([OF], {})
    assert {f.level for f in after} == {"ok"}
    texts = " ".join(f.text for f in after)
    for word in ("PostgreSQL 1", "synchronous_commit = on", "clock", "connections are free", "fit"):
        assert word in texts


def test_what_is_wrong_comes_with_its_remedy(database: Database) -> None:
    system = PostgresSystem(database.dsn)
    system.destination(OF).open(JOB, 1)
    with database.connect() as connection:
        connection.execute("alter table page_view_counts drop column view_count")
    theirs = Target("other", OF.name, "table", OF.columns, OF.key)
    long = target("n" * 64)
    found = system.findings([OF, theirs, long], {})
    assert [subject for subject, _ in errors(found)] == [
        "table page_view_counts",
        "table page_view_counts",
        "table page_view_counts",
        f"table {'n' * 64}",
    ]
    assert any('belongs to the job "shop"' in text for _, text in errors(found))
    assert all(f.remedy for f in found if f.level != "ok")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql://u:pw@127.0.0.1:{port}/d", "refused"),
        ("postgresql://u:pw@127.0.0.1:{port}/d?wrong=1", "wrong"),
        ("{dsn}?schema=missing", 'no schema "missing"'),
    ],
)
def test_nothing_is_raised(database: Database, url: str, words: str) -> None:
    system = PostgresSystem(url.format(port=free_port(), dsn=database.dsn))
    (found,) = (f for f in system.findings([OF], {}) if f.level == "error")
    assert words in found.text
    assert found.remedy


def test_row_security_is_told_where_it_is_in_force(database: Database) -> None:
    system = PostgresSystem(database.dsn)
    system.destination(OF).open(JOB, 1)
    user = f"u{secrets.token_hex(4)}"
    with database.connect() as connection:
        connection.execute(f"create role {user} login password 'p'")
        connection.execute(f"grant all on all tables in schema public to {user}")
        connection.execute(f"grant create on schema public to {user}")
        connection.execute("alter table page_view_counts enable row level security")
    try:
        theirs = PostgresSystem(f"postgresql://{user}:p@{database.dsn.rpartition('@')[2]}")
        assert errors(system.findings([OF], {})) == [], "it is not in force for a superuser"
        found = theirs.findings([OF], {})
        assert [f.text for f in found if f.level == "error"] == [
            f'row security hides rows of it from "{user}", or refuses them'
        ]
        (mend,) = (f.remedy for f in found if f.level == "error")
        with database.connect() as connection:
            connection.execute(mend)
        assert errors(theirs.findings([OF], {})) == []
    finally:
        with database.connect() as connection:
            connection.execute(f"drop owned by {user}")
            connection.execute(f"drop role {user}")


def test_a_pooler_is_known_by_the_number_of_its_process(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    with database.connect() as connection:
        assert not catalog.behind_a_pooler(connection)
        (pid,) = connection.execute("select pg_backend_pid()").fetchone()
        lent = SimpleNamespace(
            execute=connection.execute, info=SimpleNamespace(backend_pid=pid + 1)
        )
        assert catalog.behind_a_pooler(lent)
    monkeypatch.setattr(catalog, "behind_a_pooler", lambda connection: True)
    found = [f for f in PostgresSystem(database.dsn).findings([OF], {}) if f.level == "warning"]
    assert ["pool_mode = session" in (f.remedy or "") for f in found] == [True]
