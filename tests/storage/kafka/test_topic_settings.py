"""Settings of topics on clusters of several brokers, which the tests' own are not."""

from __future__ import annotations

import pytest

from headrace.storage.kafka.topic_settings import of_safety


@pytest.mark.parametrize(
    ("replicas", "insync", "brokers", "words"),
    [
        (1, "1", 1, None),
        (1, "1", 3, "one replica, though there are 3 brokers"),
        (2, "1", 3, None),
        (3, "1", 3, "3 replicas and min.insync.replicas=1"),
        (3, "2", 3, None),
    ],
)
def test_replicas(replicas: int, insync: str, brokers: int, words: str | None) -> None:
    settings = {"min.insync.replicas": insync, "unclean.leader.election.enable": "false"}
    found = list(of_safety("host:9092", "t", settings, replicas, brokers))
    assert [f.level for f in found] == ["warning"] * (words is not None)
    assert all(words in f.text and "--bootstrap-server host:9092" in f.remedy for f in found)
