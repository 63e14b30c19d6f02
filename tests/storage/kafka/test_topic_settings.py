"""Settings of topics on clusters of several brokers, which the tests' own are not."""

from __future__ import annotations

import pytest

from headrace.storage.kafka.topic_settings import of_safety, of_writing


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


@pytest.mark.parametrize(
    ("policy", "keyed", "told"),
    [("delete", False, False), ("compact", True, False), ("compact,delete", False, True)],
)
def test_a_topic_that_compacts_refuses_rows_without_a_key(
    policy: str, keyed: bool, told: bool
) -> None:
    found = list(of_writing("host:9092", "t", {"cleanup.policy": policy}, 1, keyed=keyed))
    assert [f.level for f in found] == ["warning"] * told
    for finding in found:
        assert f"cleanup.policy={policy}: it refuses rows without a key" in finding.text
        assert (finding.remedy or "").endswith("--add-config cleanup.policy=delete")
