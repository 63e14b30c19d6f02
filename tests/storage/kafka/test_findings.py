"""What `headrace doctor` says of a cluster, of which only a part may answer."""

from __future__ import annotations

from typing import Any

from headrace.storage.kafka.address import Address
from headrace.storage.kafka.findings import findings_of
from headrace.values.errors import Unreachable


class HalfAway:
    """A cluster that names its brokers; the one that has the topics does not answer."""

    address = Address.parse("kafka://one", {})

    def brokers(self) -> int:
        return 2

    def cluster_id(self) -> str:
        return "c"

    def __getattr__(self, name: str) -> Any:
        def silent(*_: object) -> None:
            raise Unreachable("no answer")

        return silent


def test_a_topic_that_nobody_answers_for_counts_as_unreachable() -> None:
    found = findings_of(HalfAway(), [], {"orders": 1})  # type: ignore[arg-type]
    [topic] = [f for f in found if f.subject == "topic orders"]
    assert (topic.level, topic.unreachable) == ("error", True)
