"""Servers in directories of their own, that are gone with whoever made them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeVar

from tests.servers.class_archive import archive_options
from tests.servers.kafka import SHORT_LIVED, Kafka
from tests.servers.postgres import Postgres
from tests.servers.process import Server, temporary_directory

S = TypeVar("S", bound=Server)


class Servers:
    """Makes servers that are not started yet, and clears them away; raises Missing."""

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
        server = make(directory)
        self._stack.callback(server.kill)  # its data go as well: no farewell is needed
        return server
