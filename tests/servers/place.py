"""The activity app in a directory with a profile, by the command line, as a user runs it.

What must not hang on how a job ran: `results`, and the records of its topic. The same records in
the local log, read by an embedded app that nothing disturbs, give what to expect: keys go to
partitions by the same rule.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headrace.apps.activity import app
from headrace.ops.ingest.generator import Simulation
from headrace.ops.ingest.simulate import simulate
from headrace.storage.systems import Systems
from headrace.values.settings import load_settings
from tests.servers.kafka import Kafka

HEADRACE = str(Path(sys.executable).with_name("headrace"))
TABLES = ["page_view_counts", "active_users", "session_history", "user_sessions"]
TOPIC = "enriched_activity"
_PARTS = {t: f"select * from {t}" for t in TABLES} | {
    "lake": "select event_time, user_id, page_url, event_type, event_date, _partition, _late "
    "from lake.activity",
    "sums": "select kind, name, accepted, applied, filtered, late, dead_lettered "
    "from conservation where kind <> 'destination'",
    "unbalanced": "select * from conservation where not balanced",
    "refused": "select * from refused_rows",
}
_START_US = 1_767_571_200_000_000  # 2026-01-05


def _records(hour: int, count: int) -> Simulation:
    return Simulation(
        count=count,
        rate=10,
        seed=hour + 1,
        start_us=_START_US + hour * 3_600_000_000,
        late_every=50,
        malformed_every=500,
    )


# Twenty minutes of records, then a minute and a half at the beginning of each of seven hours: they
# come while something is amiss.
FIRST = _records(0, 12_000)
LATER = [_records(hour, 900) for hour in range(1, 8)]
SECONDS_MAX = 180


class Place:
    """A directory with a profile, in which commands are given as a user gives them."""

    def __init__(self, directory: Path, profile: str) -> None:
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self.profile(profile)

    def profile(self, text: str) -> None:
        """Writes the profile `servers`; what runs does not see it before it is started again."""
        (self.directory / "headrace.toml").write_text(text)

    def start(
        self, *words: object, data: str = "d", settings: Mapping[str, str] | None = None
    ) -> subprocess.Popen[str]:
        command = [HEADRACE, *map(str, words), "--profile", "servers", "--data", data]
        return subprocess.Popen(
            command,
            cwd=self.directory,
            env=os.environ | dict(settings or {}),
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def give(
        self,
        *words: object,
        data: str = "d",
        code: int = 0,
        settings: Mapping[str, str] | None = None,
    ) -> str:
        """Runs a command to its end; what it said. It ends with `code`, and never with a trace."""
        child = self.start(*words, data=data, settings=settings)
        try:
            out, err = child.communicate(timeout=SECONDS_MAX)
        finally:
            child.kill()
        assert child.returncode == code, f"{words} ended with {child.returncode}: {out}{err}"
        assert "Traceback" not in err, err
        return out + err

    def simulate(self, *batches: Simulation, data: str = "d") -> None:
        """Writes records, as `headrace simulate --create-topics` does, several times over."""
        overrides = {"data": self.directory / data}
        settings = load_settings(profile="servers", directory=self.directory, overrides=overrides)
        assert app.generator is not None
        with Systems(settings) as systems:
            for job in app.plan.jobs:
                systems.create_topics(job)
            topic = systems.topic(app.generator.topic, 3)
            for batch in batches:
                simulate(topic, app.generator, batch)

    def catch_up(self, *, data: str = "d", code: int = 0) -> str:
        return self.give("run", "activity", "--until", "caught-up", data=data, code=code)

    def verified(self, *, data: str = "d") -> dict[str, Any]:
        """The rows of each output; `headrace verify` holds for all of them."""
        job = json.loads(self.give("verify", "activity", "--json", data=data))["jobs"][0]
        assert all(c["compared"] for c in job["checked"]) and not job["undelivered"]
        return {c["name"]: c["rows"] for c in job["checked"]}

    def rows(self, sql: str, *, data: str = "d") -> list[Any]:
        text = self.give("query", "activity", sql, "--format", "json", data=data)
        return list(json.loads(text))


def results(place: Place, data: str = "d") -> dict[str, list[str]]:
    """The rows of the tables and of the lake, and the sums of sources and views.

    No sum is unbalanced, and no row was refused.
    """
    parts = [
        f"select '{part}' as part, to_json(r)::varchar as \"row\" from ({sql}) r"
        for part, sql in _PARTS.items()
    ]
    found: dict[str, list[str]] = {part: [] for part in _PARTS}
    for line in place.rows(f"{' union all '.join(parts)} order by all", data=data):
        found[line["part"]].append(line["row"])
    assert not found["unbalanced"] and not found["refused"], found
    return found


def embedded_topic(place: Place, *, data: str = "d") -> list[list[Any]]:
    """The records of the topic that an embedded app wrote, by partition."""
    sql = f'select "partition", key, value from topic.{TOPIC} order by "partition", "offset"'
    partitions: list[list[Any]] = [[], [], []]
    for row in place.rows(sql, data=data):
        partitions[row["partition"]].append(_record(row["key"], row["value"]))
    return partitions


def committed(kafka: Kafka, topic: str) -> list[list[Any]]:
    """What a reader of committed records finds in each partition, in order."""
    from confluent_kafka import Consumer, KafkaError, TopicPartition

    settings = {
        "group.id": "reader",
        "isolation.level": "read_committed",
        "enable.partition.eof": True,
        "enable.auto.commit": False,
    }
    consumer = Consumer({**kafka.client_settings(), **settings})
    count = len(consumer.list_topics(topic, timeout=30).topics[topic].partitions)
    consumer.assign([TopicPartition(topic, p, 0) for p in range(count)])
    partitions: list[list[Any]] = [[] for _ in range(count)]
    ended: set[int] = set()
    while len(ended) < count:
        for message in consumer.consume(1000, 1.0):
            error = message.error()
            if error is None:
                record = _record(message.key().decode(), message.value().decode())
                partitions[message.partition()].append(record)
            else:
                assert error.code() == KafkaError._PARTITION_EOF, error
                ended.add(message.partition())
    consumer.close()
    return partitions


def _record(key: str, value: str) -> tuple[str, dict[str, Any]]:
    event = json.loads(value)
    assert event.pop("processing_time")
    return key, event
