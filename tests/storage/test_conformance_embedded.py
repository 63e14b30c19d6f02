"""The embedded destinations keep the contract that every connector keeps."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pytest

from headrace.storage.contract import Destination
from headrace.storage.topics.log import LocalTopic
from headrace.storage.topics.writer import Limits
from headrace.testing.asked import JOB
from headrace.testing.conformance import DestinationConformance
from headrace.testing.log_conformance import LogConformance
from headrace.testing.topic_conformance import PARTITIONS
from tests.storage import conforming
from tests.storage.lake import lakes
from tests.storage.outbound.records import everything


class Embedded(DestinationConformance):
    kind: ClassVar[str]

    @pytest.fixture(autouse=True)
    def place(self, tmp_path: Path) -> None:
        self.directory = tmp_path

    def make(self, job: str = JOB) -> Destination:
        return conforming.destination(self.kind, str(self.directory), job)

    def rows(self, numbers: Sequence[int]) -> pa.Table:
        return conforming.rows(self.kind, numbers)

    def outage(self) -> AbstractContextManager[None]:
        return conforming.full_disk()

    def child(self, incarnation: int, epoch: int) -> list[str]:
        return conforming.command(self.kind, str(self.directory), incarnation, epoch)


class TestLocalTopic(Embedded):
    kind = "topic"
    shared = True
    points = ("topic.fenced", "topic.appended")

    def held(self) -> list[dict[str, Any]]:
        topic = LocalTopic.open(self.directory, "out")
        return [{"key": key, "value": value} for key, value in everything(topic)]


class TestDeltaLake(Embedded):
    kind = "lake"
    # tests/storage/lake/test_crashes.py kills at all of them.
    points = ("lake.files.synced", "lake.committed")

    def held(self) -> list[dict[str, Any]]:
        directory = self.directory / "lake"
        return lakes.rows(directory) if directory.exists() else []


class TestLocalTopicAsSource(LogConformance):
    keeps_for_readers = True
    points = ("log.written", "log.synced", "log.published")

    @pytest.fixture(autouse=True)
    def place(self, tmp_path: Path) -> None:
        self.directory, self.now_us = tmp_path, 1_000_000
        LocalTopic.create(tmp_path, "in", PARTITIONS)

    def make(self) -> LocalTopic:
        # Each append begins a segment: what is forgotten is whole ones.
        limits = Limits(segment_bytes=1)
        return LocalTopic.open(self.directory, "in", limits=limits, clock=lambda: self.now_us)

    def append(
        self,
        partition: int,
        values: Sequence[bytes | None],
        keys: Sequence[bytes | None] | None = None,
    ) -> None:
        self.now_us += 1_000
        at = np.full(len(values), partition)
        keyed = None if keys is None else pa.array(keys, pa.binary())
        self.make().append(pa.array(values, pa.binary()), keyed, partition=at)

    def append_stamped(self, partition: int, value: bytes, stamp_us: int) -> bool:
        self.now_us += 1_000
        stamps = pa.array([stamp_us], pa.timestamp("us"))
        at = np.array([partition])
        self.make().append(pa.array([value]), partition=at, extras={"timestamp": stamps})
        return True

    def forget_oldest(self) -> bool:
        self.make().retain(bytes_max=1)
        return True

    def appender(self, first: int, count: int) -> list[str]:
        return conforming.command("log", str(self.directory), first, count)

    def make_again(self) -> bool:
        shutil.rmtree(self.directory / "in")
        LocalTopic.create(self.directory, "in", PARTITIONS)
        return True
