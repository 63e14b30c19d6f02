"""PostgreSQL goes away under a job, or does not take its rows: the whole way, as a user runs it.

The job goes on and says what is down, and ends as one that was not disturbed; what cannot pass
stops it in words.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.servers.conftest import Undisturbed
from tests.servers.fixtures import NewPostgres
from tests.servers.kafka import Kafka
from tests.servers.live import Live, until
from tests.servers.names import Database
from tests.servers.place import FIRST, LATER, Place
from tests.servers.postgres import Postgres
from tests.servers.profiles import profile_text

ROLE = "app"
TABLE = "page_view_counts"
KEPT = "application_name like 'headrace %'"


@pytest.fixture
def server(new_postgres: NewPostgres) -> Postgres:
    return new_postgres(settings={"max_connections": "20"}).start()


@pytest.fixture
def database(server: Postgres) -> Database:
    """A database of a user that is not the server's master."""
    made = Database(server)
    with made.connect() as connection:
        connection.execute(f"create role {ROLE} login password 'secret'")
        connection.execute(f'alter database "{made.name}" owner to {ROLE}')
        connection.execute(f"grant create on schema public to {ROLE}")
    return made


def dsn(database: Database, password: str = "secret") -> str:
    host = database.dsn.partition("@")[2]
    return f"postgresql://{ROLE}:{password}@{host}"


def profile(kafka: Kafka, database: Database) -> str:
    return profile_text(kafka.bootstrap_servers, dsn(database)) + "lake_interval_seconds = 0.5\n"


def throw_out(database: Database) -> None:
    with database.connect() as connection:
        connection.execute(f"select pg_terminate_backend(pid) from pg_stat_activity where {KEPT}")


@contextmanager
def refusing(database: Database, statement: str, undo: str) -> Iterator[None]:
    """What a master of the server does and takes back; the job connects anew meanwhile."""
    with database.connect() as connection:
        connection.execute(statement)
        throw_out(database)
        yield
        connection.execute(undo)


@contextmanager
def locked(database: Database) -> Iterator[None]:
    with database.connect() as connection, connection.transaction():
        connection.execute(f"lock table {TABLE} in access exclusive mode")
        yield


@contextmanager
def full(database: Database) -> Iterator[None]:
    """No connection is left for anyone who is no master."""
    import psycopg

    others: list[Any] = []
    with database.connect() as connection:
        connection.execute(f"alter role {ROLE} connection limit 0")
        throw_out(database)
        connection.execute(f"alter role {ROLE} connection limit -1")
        with pytest.raises(psycopg.OperationalError, match="connection"):
            while True:
                others.append(psycopg.connect(dsn(database)))
        throw_out(database)
        yield
    for other in others:
        other.close()


def down_for(live: Live, words: str) -> bool:
    assert live.running, live.words
    return any(re.search(words, line["problem"]) for line in live.said("destination_down"))


def test_a_job_waits_for_what_passes(
    own_kafka: Kafka,
    server: Postgres,
    database: Database,
    undisturbed: Undisturbed,
    tmp_path: Path,
) -> None:
    place = Place(tmp_path, profile(own_kafka, database))
    place.simulate(FIRST)
    place.catch_up()
    read_only = f'alter database "{database.name}" set default_transaction_read_only = on'
    writable = f'alter database "{database.name}" reset default_transaction_read_only'
    hurry = f"alter role {ROLE} set statement_timeout = '1s'"
    password = f"alter role {ROLE} password"
    obstacles: list[tuple[Callable[[], Any], str]] = [
        (lambda: refusing(database, read_only, writable), "read only"),
        (
            lambda: refusing(database, f"{password} 'other'", f"{password} 'secret'"),
            "password authentication failed",
        ),
        (lambda: full(database), "connection slots are reserved|too many"),
        (lambda: locked(database), "somebody else holds a lock"),
    ]
    with Live(place) as live:
        for batch, (obstacle, words) in zip(LATER, obstacles, strict=False):
            rose = len(live.said("destination_back", destination=TABLE))
            with obstacle():
                place.simulate(batch)
                # The lost connection may be told before what keeps it from being made again.
                until(lambda live=live, words=words: down_for(live, words), words)
                shown = place.give("status", "activity")
                assert re.search(rf"{TABLE}.* (is|are) down: .*{words}", shown)
                assert "secret" not in shown
            live.until_said("destination_back", rose + 1, destination=TABLE)
        with database.connect() as connection:
            connection.execute(hurry)
            connection.execute(f"alter table {TABLE} add column note text")
        throw_out(database)
        place.simulate(LATER[4])
        server.restart()  # a fast shutdown
        place.simulate(LATER[5])
        server.kill()
        server.restart()
        place.simulate(LATER[6])
        live.stop()
    place.catch_up()
    undisturbed.check(place, own_kafka)


@pytest.mark.parametrize(
    ("altered", "mended", "words"),
    [
        (
            f"alter table {TABLE} rename column view_count to views",
            f"alter table {TABLE} rename column views to view_count",
            "view_count",
        ),
        (
            f"alter table {TABLE} alter column view_count type text",
            f"alter table {TABLE} alter column view_count type bigint using view_count::bigint",
            "view_count",
        ),
    ],
)
def test_a_job_stops_where_a_table_was_altered(
    database: Database, tmp_path: Path, altered: str, mended: str, words: str
) -> None:
    """The log is a local one: nothing of this hangs on Kafka."""
    place = Place(tmp_path, f'[profile.servers]\ntables = "{dsn(database)}"\n')
    place.simulate(FIRST)
    with Live(place) as live:
        with database.connect() as connection:
            connection.execute(altered)
        place.simulate(LATER[0])
        said = live.ended(5)
    assert f'"{TABLE}" does not fit' in said and words in said and "alter table" in said
    assert f'"{TABLE}" does not fit' in place.catch_up(code=5)
    with database.connect() as connection:
        connection.execute(mended)
    place.catch_up()
    place.verified()


def test_a_start_that_cannot_log_in_or_make_tables_says_why(
    server: Postgres, database: Database, tmp_path: Path
) -> None:
    place = Place(tmp_path, "[profile.servers]\n")
    place.simulate(FIRST)
    good = dsn(database)
    port = f":{server.port}/"
    with database.connect() as connection:
        connection.execute("create role guest login password 'guest'")
        connection.execute("revoke create on schema public from public")
    for url, code, words in (
        (dsn(database, "wrong"), 5, "password authentication failed"),
        (good.replace(ROLE, "nobody", 1), 5, "authentication failed"),
        (good.replace(database.name, "absent"), 5, '"absent" does not exist'),
        (good.replace(f"{ROLE}:secret", "guest:guest"), 5, "grant create on schema"),
        (good.replace("127.0.0.1", "no-such-host.invalid"), 4, "no-such-host.invalid"),
        (good.replace(port, ":1/"), 4, "Connection refused"),
        (good + "?connect_timout=3", 2, "connect_timout"),
    ):
        place.profile(f'[profile.servers]\ntables = "{url}"\n')
        said = place.catch_up(code=code)
        assert words in said, said
        assert not any(f":{secret}@" in said for secret in ("secret", "wrong", "guest"))
        assert said.count("\n") >= 2, f"no remedy: {said}"
    place.profile(f'[profile.servers]\ntables = "{good}"\n')
    place.catch_up()
    place.verified()


@pytest.fixture
def small_disk(server: Postgres) -> Iterator[Path]:
    place = server.directory / "small"
    place.mkdir(mode=0o700)
    command = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("mounting a small file system is not allowed here")
    if user := server.user():
        shutil.chown(place, user)
    yield place
    server.kill()
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk_of_the_server(database: Database, small_disk: Path, tmp_path: Path) -> None:
    place = Place(tmp_path, f'[profile.servers]\ntables = "{dsn(database)}"\n')
    place.simulate(FIRST)
    place.catch_up()
    with Live(place) as live, database.connect() as connection:
        connection.execute(f"create tablespace small location '{small_disk}'")
        connection.execute(f"alter table {TABLE} set tablespace small")
        connection.execute("create table big (x text) tablespace small")
        rows = 100_000
        while rows:
            try:
                connection.execute(
                    "insert into big select repeat('x', 100) from generate_series(1, %s)", (rows,)
                )
            except Exception:
                rows //= 10
        place.simulate(*LATER)
        down = live.until_said("destination_down", destination=TABLE)
        assert "No space left" in down["problem"]
        connection.execute("drop table big")
        live.until_said("destination_back", destination=TABLE)
        live.stop()
    place.verified()
