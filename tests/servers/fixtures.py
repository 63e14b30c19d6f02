"""Real servers for tests.

`kafka` and `postgres` are shared by the run: a test takes names of its own there (`topics`,
`database`) and leaves the server running. Who wants to kill or pause a server takes one of its own
(`own_kafka`, `own_postgres`), or several (`new_kafka`, `new_postgres`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol, TypeVar

import pytest

from tests.servers.class_archive import archive_options
from tests.servers.kafka import SHORT_LIVED, Kafka
from tests.servers.missing import REQUIRED, Missing
from tests.servers.names import Database, Topics
from tests.servers.postgres import Postgres
from tests.servers.process import Server, temporary_directory

S = TypeVar("S", bound=Server)


class NewKafka(Protocol):
    """Makes a Kafka that is not started yet; the options are those of `Kafka`."""

    def __call__(self, **options: Any) -> Kafka: ...


class NewPostgres(Protocol):
    """Makes a PostgreSQL that is not started yet; the options are those of `Postgres`."""

    def __call__(self, **options: Any) -> Postgres: ...


class Servers:
    """Makes servers in directories of their own, and clears them away."""

    def __init__(self) -> None:
        self._stack = ExitStack()

    def __enter__(self) -> Servers:
        return self

    def __exit__(self, *problem: object) -> None:
        self._stack.close()

    def kafka(self, **options: Any) -> Kafka:
        def make(directory: Path) -> Kafka:
            java_options = [*SHORT_LIVED, *archive_options()]
            return Kafka(directory, **({"java_options": java_options} | options))

        return self._made(Kafka, make)

    def postgres(self, **options: Any) -> Postgres:
        return self._made(Postgres, lambda directory: Postgres(directory, **options))

    def _made(self, kind: type[S], make: Callable[[Path], S]) -> S:
        directory = self._stack.enter_context(temporary_directory(kind.name.lower()))
        try:
            server = make(directory)
        except Missing as missing:
            words = f"{kind.name} cannot be started here: {missing}"
            if REQUIRED:
                pytest.fail(f"{words} (HEADRACE_REQUIRE_SERVERS is set)", pytrace=False)
            pytest.skip(words)
        self._stack.callback(server.kill)  # its data go as well: no farewell is needed
        return server


@pytest.fixture(scope="session")
def kafka() -> Iterator[Kafka]:
    """A Kafka that runs, for all tests of the run."""
    with Servers() as servers:
        yield servers.kafka().start()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL that runs, for all tests of the run."""
    with Servers() as servers:
        yield servers.postgres().start()


@pytest.fixture
def topics(kafka: Kafka) -> Iterator[Topics]:
    """Topics of this test alone on the shared Kafka."""
    topics = Topics(kafka)
    yield topics
    topics.remove()


@pytest.fixture
def database(postgres: Postgres) -> Iterator[Database]:
    """A database of this test alone on the shared PostgreSQL."""
    database = Database(postgres)
    yield database
    database.remove()


@pytest.fixture
def new_kafka() -> Iterator[NewKafka]:
    """Makes Kafkas of this test alone, not started yet."""
    with Servers() as servers:
        yield servers.kafka


@pytest.fixture
def new_postgres() -> Iterator[NewPostgres]:
    """Makes PostgreSQLs of this test alone, not started yet."""
    with Servers() as servers:
        yield servers.postgres


@pytest.fixture
def own_kafka(new_kafka: NewKafka) -> Kafka:
    """A Kafka that runs, for this test alone: it may be killed."""
    return new_kafka().start()


@pytest.fixture
def own_postgres(new_postgres: NewPostgres) -> Postgres:
    """A PostgreSQL that runs, for this test alone: it may be killed."""
    return new_postgres().start()
