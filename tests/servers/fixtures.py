"""Real servers for tests.

`kafka` and `postgres` are shared by the run: a test takes names of its own there (`topics`,
`database`) and leaves the server running. Who wants to kill or pause a server takes one of its own
(`own_kafka`, `own_postgres`), or several (`new_kafka`, `new_postgres`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from tests.servers.kafka import Kafka
from tests.servers.making import S, Servers
from tests.servers.missing import REQUIRED, Missing
from tests.servers.names import Database, Topics
from tests.servers.postgres import Postgres


class NewKafka(Protocol):
    """Makes a Kafka that is not started yet; the options are those of `Kafka`."""

    def __call__(self, **options: Any) -> Kafka: ...


class NewPostgres(Protocol):
    """Makes a PostgreSQL that is not started yet; the options are those of `Postgres`."""

    def __call__(self, **options: Any) -> Postgres: ...


class OrSkipped(Servers):
    """Skips the test where a server cannot be started, or fails it where that is demanded."""

    def _made(self, kind: type[S], make: Callable[[Path], S]) -> S:
        try:
            return super()._made(kind, make)
        except Missing as missing:
            words = f"{kind.name} cannot be started here: {missing}"
            if REQUIRED:
                pytest.fail(f"{words} (HEADRACE_REQUIRE_SERVERS is set)", pytrace=False)
            pytest.skip(words)


@pytest.fixture(scope="session")
def kafka() -> Iterator[Kafka]:
    """A Kafka that runs, for all tests of the run."""
    with OrSkipped() as servers:
        yield servers.kafka().start()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL that runs, for all tests of the run."""
    with OrSkipped() as servers:
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
    with OrSkipped() as servers:
        yield servers.kafka


@pytest.fixture
def new_postgres() -> Iterator[NewPostgres]:
    """Makes PostgreSQLs of this test alone, not started yet."""
    with OrSkipped() as servers:
        yield servers.postgres


@pytest.fixture
def own_kafka(new_kafka: NewKafka) -> Kafka:
    """A Kafka that runs, for this test alone: it may be killed."""
    return new_kafka().start()


@pytest.fixture
def own_postgres(new_postgres: NewPostgres) -> Postgres:
    """A PostgreSQL that runs, for this test alone: it may be killed."""
    return new_postgres().start()
