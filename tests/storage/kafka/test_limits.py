"""What a topic takes of rows: by the topic's settings, or by the client's, whichever is less."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pyarrow as pa
import pytest

from headrace.storage.kafka.address import Address
from headrace.storage.kafka.cluster import Cluster
from headrace.storage.kafka.limits import Limits
from headrace.values.errors import TopicRefused, UsageError

OVERHEAD = 256


class Told(Cluster):
    """A cluster that has a topic with these settings; without any nobody may see them."""

    def __init__(self, settings: Mapping[str, str] | None, properties: Mapping[str, str]) -> None:
        super().__init__(Address.parse("kafka://one", properties), 1)
        self._settings = settings

    def settings(self, name: str) -> dict[str, str]:
        if self._settings is None:
            raise TopicRefused("Topic authorization failed")
        return dict(self._settings)


def limits(settings: Mapping[str, str] | None = None, **properties: str) -> Limits:
    named = {name.replace("_", "."): value for name, value in properties.items()}
    return Limits.of_topic(Told(settings, named), "out")


def rows(*given: tuple[bytes | None, bytes | None]) -> pa.Table:
    columns = {"key": [key for key, _ in given], "value": [value for _, value in given]}
    return pa.table({name: pa.array(column, pa.binary()) for name, column in columns.items()})


@pytest.mark.parametrize(
    ("found", "bytes_max", "setting"),
    [
        (limits(), 1_048_588, "max.message.bytes"),
        (limits({"max.message.bytes": "5000"}), 5_000, "max.message.bytes"),
        (
            limits({"max.message.bytes": "5000"}, message_max_bytes="4000"),
            4_000,
            "kafka.message.max.bytes",
        ),
        (
            limits({"max.message.bytes": "5000"}, message_max_bytes="6000"),
            5_000,
            "max.message.bytes",
        ),
        (limits(None, message_max_bytes="6000"), 6_000, "kafka.message.max.bytes"),
        (
            limits({"max.message.bytes": "9000000", "segment.bytes": "2000000"}),
            2_000_000,
            "segment.bytes",
        ),
    ],
)
def test_the_least_bound_counts(found: Limits, bytes_max: int, setting: str) -> None:
    assert (found.bytes_max, found.setting) == (bytes_max - OVERHEAD, setting)
    assert found.batch == {"batch.size": min(1_000_000, bytes_max - OVERHEAD)}


@pytest.mark.parametrize(
    ("policy", "wanted"), [("compact", True), ("compact,delete", True), ("delete", False)]
)
def test_rows_without_a_key_are_refused_where_the_topic_compacts(policy: str, wanted: bool) -> None:
    found, given = limits({"cleanup.policy": policy}), rows((None, b"x"), (b"", b"y"), (None, None))
    assert found.refused(given).tolist() == [wanted, False, wanted]
    if wanted:
        with pytest.raises(UsageError, match="no key.*compacts\n.*cleanup.policy=delete"):
            found.check(given)
    else:
        found.check(given)


def test_what_is_refused_is_kept_with_the_reason() -> None:
    small = {"max.message.bytes": "1000", "cleanup.policy": "compact"}
    found, most = limits(small), 1000 - OVERHEAD
    given = rows(
        (None, b"x"), (b"k", b"y" * most), (None, b"z" * 1000), (b"k" * 4, b"w" * (most - 4))
    )
    assert found.refused(given).tolist() == [True, True, True, False]
    kept = found.refusals(given.slice(0, 3), 7)
    assert [r.number for r in kept] == [7] * 3
    assert ["cleanup.policy" in r.reason for r in kept] == [True, False, False]
    assert ["max.message.bytes" in r.reason for r in kept] == [False, True, True]
    assert json.loads(kept[0].row) == {"key": None, "value": "x"}
    with pytest.raises(UsageError, match="larger than topic.*\n.*max.message.bytes=") as caught:
        found.check(given)
    assert int((caught.value.remedy or "").rpartition("=")[2]) - OVERHEAD > most + 1


def test_the_profile_is_named_where_it_is_what_bounds_rows() -> None:
    found = limits({"max.message.bytes": "5000"}, message_max_bytes="2000")
    with pytest.raises(UsageError, match="profile: kafka.message.max.bytes = 3512"):
        found.check(rows((b"k", b"x" * 3000)))


@pytest.mark.parametrize("bytes_max", ["16384", "100000000"])
def test_what_is_kept_of_a_row_can_be_sent_itself(bytes_max: str) -> None:
    found = limits(None, message_max_bytes=bytes_max)
    content = b"\xff" * 2_000_000
    (kept,) = found.refusals(rows((content, content)), 1)
    assert len(json.dumps({"row": kept.row, "reason": kept.reason})) < int(bytes_max) - 500
