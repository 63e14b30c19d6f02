"""A client that answers without an offset has not asked: it does so when a broker comes back."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any, NamedTuple

import pytest

from headrace.storage.kafka.address import Address
from headrace.storage.kafka.cluster import Cluster
from headrace.values.errors import Unreachable

kafka = pytest.importorskip("confluent_kafka", reason="the Kafka client is not installed")


class Told(NamedTuple):
    offset: int


class Client:
    """Gives the offsets of `answers` one after the other, and the last one for ever."""

    def __init__(self, *answers: list[int]) -> None:
        self.answers = list(answers)

    def list_offsets(self, asked: Mapping[Any, Any], **_: Any) -> dict[Any, Future[Told]]:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        futures: dict[Any, Future[Told]] = {at: Future() for at in asked}
        for at, future in futures.items():
            future.set_result(Told(answer[at.partition]))
        return futures

    def list_topics(self, *_: Any, **__: Any) -> None:
        """Looks for the leaders again."""

    def poll(self, _: float) -> None:
        """Has nothing to say."""


def cluster(client: Client, answer_seconds: float) -> Cluster:
    made = Cluster(Address.parse("kafka://nowhere:1", {}), answer_seconds)
    made._admin = client  # type: ignore[assignment]
    return made


def test_an_answer_without_an_offset_is_asked_for_again() -> None:
    asked = cluster(Client([-1001, -1001], [7, -1001], [7, 9]), 5)
    assert asked.offsets("t", 2, "end") == [7, 9]


def test_no_record_so_late_is_an_answer() -> None:
    assert cluster(Client([-1, 3]), 5).offsets("t", 2, 1_000) == [-1, 3]


def test_no_offset_in_time_is_no_answer() -> None:
    with pytest.raises(Unreachable, match="offsets"):
        cluster(Client([7, -1001]), 0.1).offsets("t", 2, "begin")
