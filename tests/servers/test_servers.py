"""The servers that other tests lean on: they answer, keep their data, and leave nothing behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.servers import fixtures
from tests.servers.fixtures import OrSkipped
from tests.servers.guard import processes_in
from tests.servers.kafka import Kafka, new_cluster_id
from tests.servers.missing import Missing
from tests.servers.names import Database, Topics
from tests.servers.postgres import Postgres
from tests.servers.process import Server, ServerFailed, temporary_directory

ROOT = Path(__file__).resolve().parents[2]
CLUSTER = new_cluster_id()
TOPIC = "kept"


@pytest.fixture(scope="module", params=["kafka", "postgres"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server of this file alone, that holds three records; every test leaves it running."""
    with OrSkipped() as servers:
        if request.param == "kafka":
            kafka = servers.kafka(cluster_id=CLUSTER).start()
            kafka.create_topic(TOPIC)
            produce(kafka, TOPIC, [b"a", b"b", b"c"])
            yield kafka
        else:
            postgres = servers.postgres(settings={"max_connections": "7"}).start()
            with postgres.connect() as connection:
                connection.execute("create table kept as values ('a'), ('b'), ('c')")
            yield postgres


def produce(kafka: Kafka, topic: str, values: list[bytes]) -> None:
    from confluent_kafka import Producer

    producer = Producer(kafka.client_settings())
    for value in values:
        producer.produce(topic, value)
    assert producer.flush(10) == 0


def consumed(kafka: Kafka, topic: str) -> list[bytes]:
    from confluent_kafka import Consumer, TopicPartition

    consumer = Consumer(kafka.client_settings() | {"group.id": "reader"})
    consumer.assign([TopicPartition(topic, 0, 0)])
    _, end = consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=10)
    messages = consumer.consume(end, timeout=10)
    consumer.close()
    return [message.value() or b"" for message in messages]


def records(server: Server) -> list[str]:
    """What the server of this file holds, read by its real client."""
    if isinstance(server, Kafka):
        return [value.decode() for value in consumed(server, TOPIC)]
    assert isinstance(server, Postgres)
    with server.connect() as connection:
        return sorted(value for (value,) in connection.execute("table kept"))


def test_data_survive_a_kill(server: Server) -> None:
    assert records(server) == ["a", "b", "c"]
    port = server.port
    server.kill()
    assert not server.running
    assert not server.processes()
    server.start()
    assert (records(server), server.port) == (["a", "b", "c"], port)


def test_a_paused_server_is_silent_and_goes_on_later(server: Server) -> None:
    server.pause()
    assert server.running
    assert {p.status() for p in server.processes()} == {psutil.STATUS_STOPPED}
    assert not server.answers()
    server.resume()
    server.wait_until_ready()
    assert records(server) == ["a", "b", "c"]


def test_a_backup_brings_older_data_back(own_postgres: Postgres) -> None:
    own_postgres.stop()
    backup = own_postgres.back_up()
    own_postgres.start()
    own_postgres.create_database("later")
    own_postgres.kill()
    own_postgres.restore(backup)
    own_postgres.start()
    assert "later" not in own_postgres.databases()
    own_postgres.restart()
    assert own_postgres.answers()


def test_settings_and_cluster_id_are_those_asked_for(server: Server) -> None:
    if isinstance(server, Kafka):
        assert server.admin().list_topics(timeout=10).cluster_id == CLUSTER
    elif isinstance(server, Postgres):
        with server.connect() as connection:
            assert connection.execute("show max_connections").fetchone() == ("7",)


def test_a_server_that_cannot_start_says_why(new_postgres: fixtures.NewPostgres) -> None:
    broken = new_postgres(settings={"max_connections": "none"})
    with pytest.raises(ServerFailed, match="(?s)PostgreSQL ended while .*max_connections"):
        broken.start()
    assert not broken.processes()


def test_tests_share_kafka_by_topics(kafka: Kafka, topics: Topics) -> None:
    one, other = topics.create("clicks", partitions=3), topics.create("clicks")
    assert one != other
    assert {one, other} <= set(kafka.topics())
    produce(kafka, other, [b"x"])
    assert consumed(kafka, other) == [b"x"]
    topics.name("never_made")
    topics.remove()
    assert not {one, other} & set(kafka.topics())


def test_tests_share_postgresql_by_databases(postgres: Postgres, database: Database) -> None:
    with database.connect() as connection:
        assert connection.execute("select current_database()").fetchone() == (database.name,)
    other = Database(postgres)
    connected = other.connect()
    other.remove()
    assert connected.closed or other.name not in postgres.databases()
    assert database.name in postgres.databases()


def test_own_servers_leave_nothing() -> None:
    with OrSkipped() as servers:
        postgres = servers.postgres().start()
        postgres.pause()
        assert postgres.processes()
    assert not postgres.processes()
    assert not postgres.directory.exists()


STARTS_AND_WAITS = """
import time
from tests.servers.fixtures import OrSkipped
with OrSkipped() as servers:
    postgres = servers.postgres().start()
    postgres.pause()
    kafka = servers.kafka().start(wait=False)
    print(postgres.directory, kafka.directory, flush=True)
    time.sleep(60)
"""


def test_a_killed_run_leaves_nothing(kafka: Kafka, postgres: Postgres) -> None:
    run = subprocess.Popen(
        [sys.executable, "-c", STARTS_AND_WAITS], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert run.stdout is not None
    directories = [Path(word) for word in run.stdout.readline().split()]
    assert len(directories) == 2
    assert all(processes_in(directory) for directory in directories)
    run.kill()
    run.wait()
    run.stdout.close()
    eventually(lambda: not any(directory.exists() for directory in directories))
    assert not any(processes_in(directory) for directory in directories)


@pytest.mark.parametrize("required", [False, True])
def test_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch, required: bool) -> None:
    def nowhere() -> Path:
        raise Missing("no PostgreSQL server was found: apt-get install postgresql")

    monkeypatch.setattr("tests.servers.postgres.programs", nowhere)
    monkeypatch.setattr(fixtures, "REQUIRED", required)
    outcome = pytest.fail.Exception if required else pytest.skip.Exception
    with OrSkipped() as servers, pytest.raises(outcome, match="apt-get install postgresql"):
        servers.postgres()


def test_servers_for_users_run_until_ctrl_c(kafka: Kafka, postgres: Postgres) -> None:
    with temporary_directory("make") as directory:
        directory.chmod(0o755)
        command = [sys.executable, "-m", "tests.servers", "--directory", str(directory)]
        log = directory / "told"
        with log.open("w") as out:
            run = subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=out)
        eventually(lambda: run.poll() is not None or "Ctrl-C" in log.read_text())
        table = re.findall(r"^    (.*)", log.read_text(), re.MULTILINE)
        profile = tomllib.loads("\n".join(table))["profile"]["servers"]
        import psycopg

        psycopg.connect(profile["tables"]).close()
        assert re.fullmatch(r"kafka://127\.0\.0\.1:\d+", profile["topics"])
        second = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert (second.returncode, "already" in second.stderr) == (1, True)
        os.kill(run.pid, signal.SIGINT)
        assert run.wait(20) == 0
        assert not processes_in(directory)
        assert (directory / "postgres" / "data").is_dir()


def eventually(condition: Callable[[], bool], seconds_max: float = 60) -> None:
    deadline = time.monotonic() + seconds_max
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
