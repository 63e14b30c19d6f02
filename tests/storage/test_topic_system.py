"""A system with topics, the least that keeps the contract, is tried as a connector is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from headrace.testing.topic_system_conformance import TopicSystemConformance
from tests.storage.local_system import LocalSystem


class TestLocalTopics(TopicSystemConformance):
    @pytest.fixture(autouse=True)
    def place(self, tmp_path: Path) -> None:
        self.directory = tmp_path / "topics"
        self.directory.mkdir()

    def make(self) -> LocalSystem:
        return LocalSystem(self.directory)

    @contextmanager
    def outage(self) -> Iterator[None]:
        away = self.directory.rename(self.directory.with_name("away"))
        yield
        away.rename(self.directory)
