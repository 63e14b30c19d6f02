"""Kafka and PostgreSQL of the benchmarks' own, with the profile that points at them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.servers import guard
from tests.servers.class_archive import archive_options
from tests.servers.kafka import LONG_LIVED, Kafka
from tests.servers.postgres import Postgres
from tests.servers.process import Server

DATABASE = "bench"
# What an owner of a database of this size would set; durability stays as it is.
_POSTGRES = {"shared_buffers": "1GB", "max_wal_size": "8GB", "checkpoint_timeout": "15min"}


@dataclass(frozen=True)
class Servers:
    """Both, running."""

    kafka: Kafka
    postgres: Postgres

    @property
    def topics(self) -> str:
        return f"kafka://{self.kafka.bootstrap_servers}"

    @property
    def tables(self) -> str:
        return self.postgres.dsn(DATABASE)

    def forget_results(self) -> None:
        """Leaves the input alone: what a job wrote, and its marks, are removed."""
        names = set(self.kafka.topics()) & {"headrace-marks", "enriched_activity"}
        self.kafka.delete_topics(sorted(names))
        if DATABASE in self.postgres.databases():
            self.postgres.drop_database(DATABASE)
        self.postgres.create_database(DATABASE)

    @contextmanager
    def playing(self, *roles: str) -> Iterator[None]:
        """Within it, processes that are started use these for `roles` (topics, tables)."""
        settings = {f"HEADRACE_{role.upper()}": getattr(self, role) for role in roles}
        with environment(settings):
            yield


@contextmanager
def started(directory: Path) -> Iterator[Servers]:
    """Both, empty, until the end of the block. Raises Missing where one cannot be had."""
    shutil.rmtree(directory, ignore_errors=True)
    kafka = _kafka(directory)
    postgres = Postgres(directory / "postgres", settings=_POSTGRES)
    with _stopped_at_last(kafka, postgres):
        kafka.start(wait=False)
        postgres.start()
        kafka.wait_until_ready()
        yield Servers(kafka, postgres)
    shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def kafka_started(directory: Path) -> Iterator[Kafka]:
    """Kafka alone, empty, until the end of the block. Raises Missing where it cannot be had."""
    shutil.rmtree(directory, ignore_errors=True)
    kafka = _kafka(directory)
    with _stopped_at_last(kafka):
        yield kafka.start()
    shutil.rmtree(directory, ignore_errors=True)


def _kafka(directory: Path) -> Kafka:
    return Kafka(directory / "kafka", java_options=[*LONG_LIVED, *archive_options()])


@contextmanager
def _stopped_at_last(*servers: Server) -> Iterator[None]:
    with ExitStack() as stack:
        for server in servers:
            server.directory.mkdir(parents=True, exist_ok=True)
            guard.watch(server.directory)
            stack.callback(server.stop)
        yield


@contextmanager
def environment(settings: Mapping[str, str]) -> Iterator[None]:
    """Within it, these variables are set."""
    before = dict(os.environ)
    os.environ.update(settings)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
