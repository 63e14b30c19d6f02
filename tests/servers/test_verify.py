"""`headrace verify` on a real Kafka and a real PostgreSQL: what others did there is seen."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from headrace.cli.main import call
from headrace.storage.kafka.system import KafkaSystem
from tests.servers.kafka import Kafka
from tests.servers.kafka_records import committed, produce
from tests.servers.names import Database, Topics
from tests.servers.profiles import profile_text

APP = """
from datetime import datetime
import headrace as hr

class Click(hr.Event):
    user: str
    page: str
    at: datetime

app = hr.App("{app}")
clicks = app.source(Click, topic="{app}", key="user", time="at", partitions=1)
app.table("totals", clicks.by("user").agg(clicks="count(*)", last="max(page)"))
app.topic("{kept}", clicks.with_columns(loud="upper(page)", seen="processing_time()"), partitions=1)
app.topic("{changes}", clicks.by("user").agg(clicks="count(*)"), partitions=1)
"""


class Place:
    """A directory with an app that has read its records; `verify` gives what it found."""

    def __init__(
        self, directory: Path, capfd: pytest.CaptureFixture[str], app: str, profile: str
    ) -> None:
        self._capfd, self._directory = capfd, directory
        (directory / "clicked.py").write_text(app)
        (directory / "headrace.toml").write_text(profile)

    def give(self, *words: str, code: int = 0) -> str:
        self._capfd.readouterr()
        given = call([*words, "--profile", "servers"])
        text = "".join(self._capfd.readouterr())
        assert given == code, text
        return text

    def run(self, topic: str, users: list[str]) -> None:
        lines = [
            json.dumps({"user": u, "page": f"p{n}", "at": f"2026-03-01T10:00:{n % 60:02}Z"})
            for n, u in enumerate(users)
        ]
        (self._directory / "clicks.jsonl").write_text("\n".join(lines))
        self.give("ingest", "clicked.py", topic, "clicks.jsonl", "--create-topics")
        self.give("run", "clicked.py", "--until", "caught-up", "--create-topics")

    def verify(self, code: int = 0) -> dict[str, dict[str, Any]]:
        text = self.give("verify", "clicked.py", "--json", code=code)
        (job,) = json.loads(text)["jobs"]
        assert all(c["compared"] for c in job["checked"]) and not job["undelivered"]
        return {c["name"]: c for c in job["checked"]}


@pytest.fixture
def names(topics: Topics) -> dict[str, str]:
    return {n: topics.name(n) for n in ("app", "kept", "changes")}


@pytest.fixture
def place(
    kafka: Kafka,
    database: Database,
    names: dict[str, str],
    tmp_path: Path,
    capfd,
    monkeypatch: pytest.MonkeyPatch,
) -> Place:
    monkeypatch.chdir(tmp_path)
    profile = profile_text(kafka.bootstrap_servers, database.dsn)
    return Place(tmp_path, capfd, APP.format(**names), profile)


USERS = ["ann", "bob", "ann", "eve", "ann", "bob"]


def test_records_of_somebody_else(kafka: Kafka, place: Place, names: dict[str, str]) -> None:
    place.run(names["app"], USERS)
    place.verify()
    kept = names["kept"]
    ours = committed(kafka, kept)
    assert len(ours) == 6
    foreign = [b'{"user": "mallory", "page": "x", "at": "2026-03-01T10:00:00Z"}', b"\xff{", None]
    # One of ours once more, too.
    produce(kafka, kept, [(b"k", value) for value in [*foreign, ours[2][3]]])
    found = place.verify(code=1)[kept]
    assert (found["rows"], found["different"]) == (10, 4)
    assert "4 records there are not this job's" in found["note"]
    assert {d["_kind"] for d in found["differences"]} == {"unexpected"}
    # A marker of our transaction lies between; of equal records the last is named.
    first = ours[-1][1] + 2
    assert sorted(d["offset"] for d in found["differences"]) == list(range(first, first + 4))
    assert any(d.get("user") == "mallory" for d in found["differences"])
    text = place.give("verify", "clicked.py", code=1)
    assert "mallory" in text and "4 different" in text and "it does NOT hold" in text
    # The others are seen in the topic of changes as well.
    changes = names["changes"]
    assert place.verify(code=1)[changes]["different"] == 0
    produce(kafka, changes, [(b"k", b'{"user": "mallory", "clicks": 1}'), (b"l", b"{")])
    assert place.verify(code=1)[changes]["different"] == 2


def test_a_record_of_ours_that_is_changed(
    kafka: Kafka, place: Place, names: dict[str, str]
) -> None:
    """Kafka changes nothing in place: it stands again, in another form."""
    place.run(names["app"], USERS)
    changes = names["changes"]
    ann = next(r for r in committed(kafka, changes) if b"ann" in (r[3] or b""))
    produce(kafka, changes, [(ann[2], b'{"user": "ann", "clicks": 99}')])
    found = place.verify(code=1)[changes]
    assert found["different"] == 1 and found["note"] is None
    assert found["differences"] == [{"user": "ann", "_kind": "different", "_columns": ["clicks"]}]


def test_retention_is_no_difference(kafka: Kafka, place: Place, names: dict[str, str]) -> None:
    from confluent_kafka import TopicPartition

    place.run(names["app"], USERS)
    admin = kafka.admin()  # its requests end when it does
    for name in (names["kept"], names["changes"]):
        (answer,) = admin.delete_records([TopicPartition(name, 0, 2)]).values()
        answer.result(20)
    found = place.verify()
    kept = found[names["kept"]]
    assert kept["different"] == 0 and kept["rows"] == 4
    assert kept["note"] == "it reaches back to offsets [2]: 2 rows are no longer there"
    assert "reaches back to offsets [2]" in found[names["changes"]]["note"]
    # What it does not explain is still a difference.
    produce(kafka, names["kept"], [(None, b"{}")])
    assert place.verify(code=1)[names["kept"]]["different"] == 1


def test_compaction_is_no_difference(
    kafka: Kafka, topics: Topics, place: Place, names: dict[str, str]
) -> None:
    settings = {
        "cleanup.policy": "compact",
        "segment.ms": "1",
        "min.cleanable.dirty.ratio": "0.0001",
        "max.compaction.lag.ms": "1",
        "delete.retention.ms": "0",
    }
    for name in (names["kept"], names["changes"]):
        kafka.create_topic(name, 1, settings)
    place.run(names["app"], USERS)
    place.run(names["app"], ["zoe", *USERS])
    deadline = time.monotonic() + 90
    while (left := len(committed(kafka, names["kept"]))) == 13 and time.monotonic() < deadline:
        time.sleep(0.5)
    assert left < 13, "the broker did not compact the topic"
    found = place.verify()
    assert "it is compacted" in found[names["kept"]]["note"]
    assert found[names["changes"]]["different"] == 0


def test_who_ingests_beside_the_job_is_named(
    kafka: Kafka, place: Place, names: dict[str, str]
) -> None:
    place.run(names["app"], USERS)
    system = KafkaSystem(f"kafka://{kafka.bootstrap_servers}")
    topic = system.topic(names["kept"], 1)
    topic.append_numbered(pa.array([b"{}"]), producer="billing", first_sequence=0)
    system.close()
    found = place.verify()[names["kept"]]
    assert (found["different"], found["rows"]) == (0, 7)
    assert found["note"] == "1 records are of others that write to it: billing"


def test_rows_that_others_changed_in_the_database(
    place: Place, database: Database, names: dict[str, str]
) -> None:
    place.run(names["app"], USERS)
    assert place.verify()["totals"]["rows"] == 3
    with database.connect() as connection:
        connection.execute("update totals set clicks = 4 where \"user\" = 'ann'")
        connection.execute("delete from totals where \"user\" = 'bob'")
        connection.execute("insert into totals values ('mallory', 1, 'p')")
    found = place.verify(code=1)["totals"]
    assert found["different"] == 3
    assert sorted(found["differences"], key=lambda d: d["user"]) == [
        {"user": "ann", "_kind": "different", "_columns": ["clicks"]},
        {"user": "bob", "_kind": "missing", "_columns": []},
        {"user": "mallory", "_kind": "unexpected", "_columns": []},
    ]
    text = place.give("verify", "clicked.py", code=1)
    assert all(user in text for user in ("ann", "bob", "mallory"))
