"""A topic of changes in Kafka begins anew after a reset: read, taken back in pieces, told again."""

from __future__ import annotations

from pathlib import Path

from tests.faults.begun_anew import BegunAnew, check_told
from tests.servers.kafka import Kafka
from tests.servers.kafka_records import committed, produce
from tests.servers.names import Topics


def _begun(kafka: Kafka, topics: Topics, data: Path) -> BegunAnew:
    names = topics.name("steps"), topics.name("counts")
    return BegunAnew(data, f"kafka://{kafka.bootstrap_servers}", *names)


def test_killed_between_pieces(kafka: Kafka, topics: Topics, tmp_path: Path) -> None:
    """A transaction that was not committed takes nothing back; one that was is not repeated."""
    begun = _begun(kafka, topics, tmp_path)
    for point in ("kafka.marked:2", "kafka.committed", "kafka.marked", *["kafka.committed"] * 3):
        assert begun.run(kill_at=point) == -9, point
    assert begun.run() == 0
    check_told(begun.told())
    assert begun.counted() == {"sent": 40, "landed": 40, "refused": 0}
    assert begun.holds()
    # As others see it: the plain client knows nothing of marks.
    nulls = [key for _, _, key, value in committed(kafka, begun.counts) if value is None]
    assert len(nulls) == len(set(nulls)) == 10


def test_what_others_wrote_stays(kafka: Kafka, topics: Topics, tmp_path: Path) -> None:
    begun = _begun(kafka, topics, tmp_path)
    produce(kafka, begun.counts, [(b"other", b'{"of": "another"}')])
    assert begun.run() == 0
    (others,) = [values for (_, key), values in begun.told().items() if key == "other"]
    assert others == ['{"of": "another"}']
    assert begun.counted() == {"sent": 40, "landed": 40, "refused": 0}
