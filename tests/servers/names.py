"""What a test owns on a server that it shares with others: names that nobody else uses."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from tests.servers.kafka import Kafka
from tests.servers.postgres import Postgres


def unique_name(base: str) -> str:
    """`base` with a suffix of its own; fits a topic, a group, a schema, a database."""
    return f"{base}_{secrets.token_hex(4)}"


class Topics:
    """Topics of one test on a shared Kafka; `remove` deletes those that are there."""

    def __init__(self, kafka: Kafka) -> None:
        self._kafka = kafka
        self._names: list[str] = []

    def name(self, base: str) -> str:
        """A name for a topic that the code under test may create."""
        self._names.append(unique_name(base))
        return self._names[-1]

    def create(
        self, base: str, partitions: int = 1, settings: Mapping[str, str] | None = None
    ) -> str:
        """A new topic; returns its name."""
        name = self.name(base)
        self._kafka.create_topic(name, partitions, settings)
        return name

    def remove(self) -> None:
        if self._names:
            there = self._kafka.topics()
            self._kafka.delete_topics([name for name in self._names if name in there])


class Database:
    """A database of one test on a shared PostgreSQL, at `dsn`."""

    def __init__(self, postgres: Postgres, base: str = "test") -> None:
        self._postgres = postgres
        self.name = unique_name(base)
        self.dsn = postgres.dsn(self.name)
        postgres.create_database(self.name)

    def connect(self) -> Any:
        """A new `psycopg.Connection` that commits by itself."""
        return self._postgres.connect(self.name)

    def remove(self) -> None:
        self._postgres.drop_database(self.name)
