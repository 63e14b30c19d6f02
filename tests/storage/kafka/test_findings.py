"""What `headrace doctor` says of a cluster, of which only a part may answer."""

from __future__ import annotations

from typing import Any

import pytest

from headrace.storage.contract import Target
from headrace.storage.kafka.address import Address
from headrace.storage.kafka.cluster import About
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


class Compacting(HalfAway):
    """A cluster whose topics all compact."""

    def about(self, name: str) -> About:
        return About(name, f"c/{name}", 1, 1)

    def rights(self, name: str) -> None:
        return None

    def settings(self, name: str) -> dict[str, str]:
        return {"cleanup.policy": "compact"}

    def offsets(self, name: str, partitions: int, which: str) -> list[int]:
        return [0] * partitions


@pytest.mark.parametrize("required", [("key",), ()])
def test_a_topic_that_compacts_is_told_where_rows_may_have_no_key(
    required: tuple[str, ...],
) -> None:
    columns = (("key", "BLOB"), ("value", "BLOB"))
    target = Target("shop", "out", "topic", columns, partitions=1, required=required)
    found = findings_of(Compacting(), [target], {})  # type: ignore[arg-type]
    told = [f.level for f in found if f.subject == "topic out" and "without a key" in f.text]
    assert told == ["warning"] * (not required)
