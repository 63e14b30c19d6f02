"""How long a transaction may be open, by what the profile says of it or of rows."""

from __future__ import annotations

import pytest

from headrace.storage.kafka.address import Address
from headrace.storage.kafka.cluster import Cluster
from headrace.values.errors import UsageError

pytest.importorskip("confluent_kafka", reason="the Kafka client is not installed")
TRANSACTION = "transaction.timeout.ms"


@pytest.mark.parametrize(
    ("properties", "wanted"),
    [
        ({}, 15_000),
        ({TRANSACTION: "60000"}, 60_000),
        ({TRANSACTION: "5000"}, 5_000),
        ({"message.timeout.ms": 30_000}, 30_000),
        ({"delivery.timeout.ms": "30000"}, 30_000),
        ({"message.timeout.ms": "2000"}, 15_000),
        ({"message.timeout.ms": "30000", TRANSACTION: "40000"}, 40_000),
    ],
)
def test_the_profile_may_give_it_more_time(properties: dict[str, object], wanted: int) -> None:
    cluster = Cluster(Address.parse("kafka://127.0.0.1:1", properties), 1)
    found = cluster.transaction_ms(15_000)
    assert found == wanted
    # The client takes it: it refuses rows that may take longer than their transaction.
    cluster.writer("t", {TRANSACTION: found}).purge()


@pytest.mark.parametrize("name", ["message.timeout.ms", TRANSACTION])
def test_what_is_no_number_is_told(name: str) -> None:
    cluster = Cluster(Address.parse("kafka://127.0.0.1:1", {name: "1 minute"}), 1)
    with pytest.raises(UsageError, match=f"kafka.{name} is no whole number"):
        cluster.transaction_ms(15_000)
