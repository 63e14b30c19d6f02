"""Deliveries to a PostgreSQL that is killed, paused, full, or put back to an older state."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from headrace.storage.postgres.system import PostgresSystem
from headrace.storage.postgres.table import PostgresTable
from headrace.values.errors import HeadraceError, StateRefused, Unreachable
from tests import children
from tests.servers.fixtures import NewPostgres
from tests.servers.names import Database
from tests.servers.postgres import SUPERUSER, Postgres
from tests.storage.postgres import deliverer
from tests.storage.postgres.targets import JOB, delivery, mark, served, target

OF = target("totals", (("k", "BIGINT"), ("v", "BIGINT")), ["k"], required=("k",))
ROWS = 300


def opened(server: Postgres, incarnation: int = 1, **options: Any) -> PostgresTable:
    table = PostgresSystem(server.dsn(), **options).destination(OF)
    table.open(JOB, incarnation)
    return table


def changes(epoch: int, rows: int = ROWS) -> list[tuple[Any, ...]]:
    return [("u", epoch + n, epoch) for n in range(rows)]


def expected(epochs: int, rows: int = ROWS) -> list[tuple[int, int]]:
    return sorted({k: v for e in range(1, epochs + 1) for _, k, v in changes(e, rows)}.items())


def until_taken(table: PostgresTable, epoch: int, told: list[str], rows: int = ROWS) -> None:
    """Delivers as a job does: again while trying again may help."""
    for _ in range(400):
        try:
            assert table.deliver(delivery(OF, changes(epoch, rows)), mark(epoch)) == rows
            return
        except HeadraceError as error:
            assert error.retry, error
            assert "headrace@" not in str(error)
            told.append(str(error))
            time.sleep(0.02)
    raise AssertionError(f"epoch {epoch} was never taken: {told[-1]}")


def test_a_server_killed_at_any_moment_has_every_delivery_once(own_postgres: Postgres) -> None:
    table, told, done = opened(own_postgres), [], threading.Event()

    def kill_now_and_then() -> None:
        for pause in (0.15, 0.22, 0.31):
            time.sleep(pause)
            own_postgres.kill()
            own_postgres.start()
        done.set()

    killer = threading.Thread(target=kill_now_and_then)
    killer.start()
    epoch = 0
    while not done.is_set() or epoch < 5:
        epoch += 1
        until_taken(table, epoch, told, rows=2000)
    killer.join()
    assert told, "nobody noticed"
    assert sorted(served(own_postgres.dsn(), OF)) == expected(epoch, rows=2000)
    with own_postgres.connect() as connection:
        sums = connection.execute("select sent_rows, landed_rows from headrace_marks").fetchone()
    assert sums == (epoch * 2000, epoch * 2000)


def test_a_paused_server_takes_the_delivery_when_it_goes_on(own_postgres: Postgres) -> None:
    table = opened(own_postgres)
    own_postgres.pause()
    threading.Timer(0.5, own_postgres.resume).start()
    begun = time.monotonic()
    until_taken(table, 1, [])
    assert time.monotonic() - begun > 0.4
    assert sorted(served(own_postgres.dsn(), OF)) == expected(1)


def test_a_paused_server_is_told_at_the_start(own_postgres: Postgres) -> None:
    own_postgres.pause()
    try:
        table = PostgresSystem(own_postgres.dsn() + "?connect_timeout=2").destination(OF)
        with pytest.raises(Unreachable, match="timeout"):
            table.open(JOB, 1)
    finally:
        own_postgres.resume()


def test_a_server_that_stops_and_comes_back_is_found_again(own_postgres: Postgres) -> None:
    table, told = opened(own_postgres), list[str]()
    until_taken(table, 1, told)
    own_postgres.stop()
    with pytest.raises(Unreachable):
        table.deliver(delivery(OF, changes(2)), mark(2))
    with pytest.raises(Unreachable, match="(?i)refused"):
        table.deliver(delivery(OF, changes(2)), mark(2))
    own_postgres.start()
    until_taken(table, 2, told)
    assert sorted(served(own_postgres.dsn(), OF)) == expected(2)


class Cut:
    """A relay before a server that cuts the line at a commit, `at` says before or after it.

    The server is not told: what was not committed holds its locks.
    """

    def __init__(self, port: int) -> None:
        self._port, self.at = port, ""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            client, _ = self._listener.accept()
            server = socket.create_connection(("127.0.0.1", self._port))
            for pair in ((client, server), (server, client)):
                threading.Thread(target=self._relay, args=(*pair, client), daemon=True).start()

    def _relay(self, source: socket.socket, sink: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                cut = self.at if source is client and b"COMMIT" in data else ""
                if cut:
                    self.at = ""
                    client.shutdown(socket.SHUT_RDWR)
                if cut != "before":
                    sink.sendall(data)
                if cut:
                    time.sleep(0.2)
                    break
        for end in (source, sink):
            end.close()


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_commit_whose_answer_is_lost_lands_once(database: Database, moment: str) -> None:
    port = int(database.dsn.rpartition(":")[2].partition("/")[0])
    relay = Cut(port)
    dsn = database.dsn.replace(f":{port}/", f":{relay.port}/")
    table = PostgresSystem(dsn, lock_seconds=0.5).destination(OF)
    table.open(JOB, 1)
    until_taken(table, 1, [])
    relay.at = moment
    with pytest.raises(Unreachable):
        table.deliver(delivery(OF, changes(2)), mark(2))
    time.sleep(0.1)
    with database.connect() as connection:
        (epoch,) = connection.execute("select epoch from headrace_marks").fetchone()
    assert epoch == (1 if moment == "before" else 2)
    until_taken(table, 2, [])
    assert sorted(served(database.dsn, OF)) == expected(2)
    with database.connect() as connection:
        sums = connection.execute("select sent_rows, landed_rows from headrace_marks").fetchone()
    assert sums == (2 * ROWS, 2 * ROWS)


def test_an_older_backup_stops_the_job_and_the_next_start_goes_on(own_postgres: Postgres) -> None:
    table = opened(own_postgres)
    until_taken(table, 1, [])
    own_postgres.stop()
    backup = own_postgres.back_up()
    own_postgres.start()
    until_taken(table, 2, [])
    own_postgres.stop()
    own_postgres.restore(backup)
    own_postgres.start()
    with pytest.raises(Unreachable):
        table.deliver(delivery(OF, changes(3)), mark(3))
    with pytest.raises(StateRefused, match="older one"):
        table.deliver(delivery(OF, changes(3)), mark(3))
    again = PostgresSystem(own_postgres.dsn()).destination(OF)
    assert again.open(JOB, 2) == mark(1)
    for epoch in (2, 3):
        until_taken(again, epoch, [])
    assert sorted(served(own_postgres.dsn(), OF)) == expected(3)


def test_a_zombie_that_wakes_after_its_successor_changes_nothing(database: Database) -> None:
    zombie = children.start(deliverer.__name__, database.dsn, 1, 10_000, 1)
    assert zombie.stdout is not None
    for line in zombie.stdout:
        if line.startswith("took 5"):
            break
    zombie.send_signal(signal.SIGSTOP)  # anywhere in a delivery, holding the lock or not
    successor = PostgresSystem(database.dsn, lock_seconds=0.5).destination(OF)
    found = successor.open(JOB, 2)
    assert found is not None
    assert found.epoch >= 5
    for epoch in (found.epoch + 1, found.epoch + 2):
        assert successor.deliver(delivery(OF, [("u", -epoch, epoch)]), mark(epoch)) == 1
    before = served(database.dsn, OF)
    zombie.send_signal(signal.SIGCONT)
    _, said = zombie.communicate(timeout=30)
    assert zombie.returncode == 1
    assert "StateRefused" in said or "Unreachable" in said, said
    assert served(database.dsn, OF) == before


def test_no_connection_left_is_tried_again(new_postgres: NewPostgres) -> None:
    server = new_postgres(
        settings={"max_connections": "4", "superuser_reserved_connections": "0"}
    ).start()
    table = opened(server)
    table.close()
    others = []
    with pytest.raises(Exception, match="too many clients"):
        while True:
            others.append(server.connect())
    with pytest.raises(Unreachable, match="too many clients"):
        table.deliver(delivery(OF, changes(1)), mark(1))
    for other in others:
        other.close()
    until_taken(table, 1, [])
    server.kill()


def test_a_session_that_began_read_only_is_not_kept(database: Database) -> None:
    name = database.name
    table = PostgresSystem(database.dsn).destination(OF)
    table.open(JOB, 1)
    table.close()
    with database.connect() as connection:
        connection.execute(f'alter database "{name}" set default_transaction_read_only = on')
        with pytest.raises(Unreachable, match="read only"):
            table.deliver(delivery(OF, changes(1)), mark(1))
        connection.execute(f'alter database "{name}" reset default_transaction_read_only')
    until_taken(table, 1, [])


def test_a_standby_is_tried_again_with_the_option_named(own_postgres: Postgres) -> None:
    table = opened(own_postgres)
    with own_postgres.connect() as connection:
        connection.execute("alter system set default_transaction_read_only = on")
        connection.execute("select pg_reload_conf()")
        time.sleep(0.2)
        with pytest.raises(Unreachable, match="target_session_attrs=read-write"):
            table.deliver(delivery(OF, changes(1)), mark(1))
        connection.execute("set default_transaction_read_only = off")
        connection.execute("alter system reset default_transaction_read_only")
        connection.execute("select pg_reload_conf()")
    time.sleep(0.2)
    until_taken(table, 1, [])


@pytest.fixture
def small_disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    place = Path("/tmp") / f"headrace-small-{os.getpid()}"
    place.mkdir(mode=0o700)
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(place)],
        capture_output=True,
        check=False,
    )
    if made.returncode:
        place.rmdir()
        pytest.skip("mounting a small file system is not allowed here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)
    place.rmdir()


def test_a_full_disk_is_tried_again(own_postgres: Postgres, small_disk: Path) -> None:
    if own_postgres.user():
        shutil.chown(small_disk, SUPERUSER)
    with own_postgres.connect() as connection:
        connection.execute(f"create tablespace small location '{small_disk}'")
    table = opened(own_postgres)
    with own_postgres.connect() as connection:
        connection.execute("alter table totals set tablespace small")
        connection.execute(
            "create table big tablespace small as "
            "select repeat('x', 100) from generate_series(1, 150000)"
        )
    with pytest.raises(Unreachable, match="No space left"):
        table.deliver(delivery(OF, changes(1, 100_000)), mark(1))
    assert served(own_postgres.dsn(), OF) == []
    with own_postgres.connect() as connection:
        connection.execute("drop table big")
        connection.execute("vacuum full totals")
    until_taken(table, 1, [], rows=100_000)
    assert len(served(own_postgres.dsn(), OF)) == 100_000
    own_postgres.kill()
