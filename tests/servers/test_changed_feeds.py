"""A topic in Kafka whose view is emitted otherwise than before, by commands."""

from __future__ import annotations

import json
from pathlib import Path

from tests.servers.kafka import Kafka
from tests.servers.kafka_records import committed
from tests.servers.names import Topics
from tests.servers.place import Place

APP = """
from datetime import datetime
import headrace as hr

class Click(hr.Event):
    user: str
    at: datetime

app = hr.App("{source}")
clicks = app.source(
    Click, topic="{source}", key="user", time="at", lateness="1 minute", partitions=1
)
app.topic("{hours}", clicks.tumble("1 hour").by("user").agg(n="count(*)"){to_changes}, partitions=1)
visits = clicks.session(gap="30 seconds").by("user").agg(n="count(*)")
app.topic("{visits}", visits{to_final}, partitions=1)
"""
FINAL = ', emit="final"'


def test_a_switched_emit_is_brought_together(kafka: Kafka, topics: Topics, tmp_path: Path) -> None:
    names = {n: topics.name(n) for n in ("source", "hours", "visits")}
    there = Place(tmp_path, f'[profile.servers]\ntopics = "kafka://{kafka.bootstrap_servers}"\n')

    def run(**emits: str) -> None:
        (tmp_path / "shop.py").write_text(APP.format(**names, **emits))
        there.give("run", "shop.py", "--until", "caught-up", "--create-topics")
        there.give("verify", "shop.py")

    def click(*seconds: int) -> None:
        times = [f"2026-03-01T{10 + s // 3600}:{s // 60 % 60:02}:{s % 60:02}Z" for s in seconds]
        lines = [
            json.dumps({"user": f"u{s // 1000}", "at": at})
            for s, at in zip(seconds, times, strict=True)
        ]
        (tmp_path / "clicks.jsonl").write_text("\n".join(lines))
        there.give("ingest", "shop.py", names["source"], "clicks.jsonl", "--create-topics")

    def shown(topic: str) -> list[tuple[str, int]]:
        last = {key: value for _, _, key, value in committed(kafka, names[topic])}
        rows = [json.loads(value) for value in last.values() if value is not None]
        return sorted((row["user"], row["n"]) for row in rows)

    (tmp_path / "shop.py").write_text(APP.format(**names, to_changes=FINAL, to_final=""))
    click(0, 40)
    run(to_changes=FINAL, to_final="")
    assert (shown("hours"), shown("visits")) == ([], [("u0", 1), ("u0", 1)])
    # At once: no event comes before it is told.
    run(to_changes="", to_final=FINAL)
    assert (shown("hours"), shown("visits")) == ([("u0", 2)], [])
    # It joins both visits, and the watermark passes them.
    click(20, 5000)
    run(to_changes="", to_final=FINAL)
    assert (shown("hours"), shown("visits")) == ([("u0", 3), ("u5", 1)], [("u0", 3)])
