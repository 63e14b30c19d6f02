"""Records that topics of Kafka refuse: told, left out of the proof, and sent again after a fix."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.servers.kafka import Kafka
from tests.servers.kafka_records import committed, produce
from tests.servers.live import until
from tests.servers.names import Topics
from tests.servers.place import Place

APP = """
from datetime import datetime
import headrace as hr

class Note(hr.Event):
    at: datetime
    who: str | None
    n: int
    text: str
    words: list[str]

app = hr.App("notes")
notes = app.source(Note, topic="{notes}", key="who", time="at", partitions=2)
longest = notes.by("who").agg(n="count(*)", text="max(text)").where("n < 3")
app.topic("{changes}", longest, partitions=2)
minutes = notes.tumble("1 minute").by("who").agg(n="count(*)", text="max(text)")
app.topic("{finals}", minutes, emit="final", partitions=2)
app.topic("{copies}", notes.with_columns(told="processing_time()"), partitions=2)
once = notes.where("n > 0").dedupe(by=("who", "n")).select("who", "n", "text")
app.topic("{once}", once.with_columns(told="processing_time()"), partitions=2)
app.topic("{words}", notes.explode("words", "word").select("word"), key=(), partitions=2)
app.topic("{keyless}", notes.select("n"), key=(), partitions=2)
"""
OUTPUTS = ("changes", "finals", "copies", "once", "words")
SMALL_BYTES, LARGE = 2_000, 6_000
RUN = ("run", "notes.py", "--until", "caught-up")
REPLAY = ("dead-letters", "replay", "notes.py")


def note(second: int, who: str | None, n: int, text: str = "t", *words: str) -> dict[str, Any]:
    # A field that the class does not declare is a part of a copy too.
    at = f"2026-01-01T00:{second // 60:02}:{second % 60:02}Z"
    own = {"at": at, "who": who, "n": n, "text": text, "words": words}
    return own | {"unknown": f"{n}-{second}"}


class Notes:
    """The app with its topics, those of its outputs small."""

    def __init__(self, kafka: Kafka, topics: Topics, directory: Path) -> None:
        self.kafka = kafka
        small = {"max.message.bytes": str(SMALL_BYTES)}
        self.names = {o: topics.create(o, 2, small) for o in OUTPUTS}
        self.names["notes"] = topics.create("notes", 2)
        self.names["keyless"] = topics.create("keyless", 2, {"cleanup.policy": "compact"})
        profile = f'[profile.servers]\ntopics = "kafka://{kafka.bootstrap_servers}"\n'
        self.place = Place(directory, profile)
        (directory / "notes.py").write_text(APP.format(**self.names))
        self.sent: list[dict[str, Any]] = []

    def send(self, *notes: dict[str, Any]) -> None:
        for one in notes:
            text = json.dumps(one).encode()
            key = None if one["who"] is None else one["who"].encode()
            produce(self.kafka, self.names["notes"], [(key, text)], partition=0)
        self.sent += notes
        self.place.give(*RUN)

    def enlarge(self) -> None:
        for output in OUTPUTS:
            self.kafka.configure_topic(self.names[output], "max.message.bytes", "1000000")
        self.kafka.configure_topic(self.names["keyless"], "cleanup.policy", "delete")

    def refused(self) -> dict[str, int]:
        sql = "select destination, count(*) as n from refused_rows group by 1"
        text = self.place.give("query", "notes.py", sql, "--format", "json")
        found = {row["destination"]: row["n"] for row in json.loads(text)}
        return {output: found[name] for output, name in self.names.items() if name in found}

    def values(self, output: str) -> list[Any]:
        """The values of a topic's records, in the order of each partition."""
        found = committed(self.kafka, self.names[output])
        return [None if value is None else json.loads(value) for *_, value in found]

    def shown(self, output: str) -> dict[bytes | None, Any]:
        """By key what a topic of a view shows."""
        last = {key: value for *_, key, value in committed(self.kafka, self.names[output])}
        return {key: json.loads(value) for key, value in last.items() if value is not None}

    def check(self) -> None:
        """Each topic has what was sent once, as counted here again."""
        plain = [{k: v for k, v in row.items() if k != "told"} for row in self.values("copies")]
        assert bag(plain) == bag(self.sent)
        assert all(row["told"] for row in self.values("copies") + self.values("once"))
        assert bag([row["word"] for row in self.values("words")]) == bag(
            [word for one in self.sent for word in one["words"]]
        )
        assert bag([row["n"] for row in self.values("keyless")]) == bag(
            [one["n"] for one in self.sent]
        )
        first = {(o["who"], o["n"]): o["text"] for o in reversed(self.sent) if o["n"] > 0}
        found = [(row["who"], row["n"], row["text"]) for row in self.values("once")]
        assert bag(found) == bag([(who, n, text) for (who, n), text in first.items()])
        by: dict[str | None, list[str]] = {}
        for one in self.sent:
            by.setdefault(one["who"], []).append(one["text"])
        wanted = {who: max(texts) for who, texts in by.items() if len(texts) < 3}
        shown = {row["who"]: row["text"] for row in self.shown("changes").values()}
        assert shown == wanted


def bag(rows: list[Any]) -> Counter[str]:
    return Counter(json.dumps(row, sort_keys=True) for row in rows)


@pytest.fixture
def notes(kafka: Kafka, topics: Topics, tmp_path: Path) -> Notes:
    return Notes(kafka, topics, tmp_path)


def test_what_topics_refused_is_sent_again(notes: Notes) -> None:
    long, longer = "l" * LARGE, "m" * LARGE
    notes.send(note(0, "a", 1), note(1, "b", 1, "t", "small", "small"), note(2, None, 1))
    # Two that begin alike, of one key; of what is exploded a part; a duplicate; a row that goes.
    notes.send(
        note(10, "a", 2, long + "1", "few", long, long),
        note(11, "a", 3, long + "2"),
        note(12, "a", 3, long + "3"),
        note(13, "b", 2, longer),
        note(14, None, 2, long),
        note(15, "c", 0, long),
        note(16, "d", 1, "t", "w" * LARGE, "few"),
    )
    notes.send(note(200, "e", 1), note(17, "b", 3))
    refused = notes.refused()
    assert refused.keys() == set(notes.names) - {"notes"}
    # Of the changes those of "b" are out of date: it has three notes by now.
    assert refused["words"] == 3 and refused["once"] == 4
    told = notes.place.give("verify", "notes.py", code=1)
    assert "rows refused" in told and "different" not in told
    notes.place.give("verify", "notes.py", "--allow-refused")
    # Still refused: it says so again, and counts them once.
    notes.place.give(*REPLAY)
    again = notes.refused()
    assert again == refused | {"changes": again["changes"], "finals": again["finals"]}
    notes.place.give("verify", "notes.py", "--allow-refused")
    notes.enlarge()
    until(lambda: not refused_after_replay(notes), "no record is refused")
    assert "it holds" in notes.place.give("verify", "notes.py")
    notes.check()
    before = {output: len(notes.values(output)) for output in notes.names}
    assert "sent again" not in notes.place.give(*REPLAY)
    assert before == {output: len(notes.values(output)) for output in notes.names}
    notes.send(note(300, "a", 9), note(301, "f", 1, long))
    assert "it holds" in notes.place.give("verify", "notes.py")
    notes.check()


def refused_after_replay(notes: Notes) -> dict[str, int]:
    """A broker takes a changed setting in a moment later."""
    notes.place.give(*REPLAY)
    notes.place.give(*RUN)
    return notes.refused()


def test_another_difference_is_one_all_the_same(notes: Notes) -> None:
    notes.send(note(0, "a", 1), note(1, "b", 1))
    notes.send(note(2, "a", 2, "l" * LARGE))
    notes.place.give("verify", "notes.py", "--allow-refused")
    changed = json.dumps({"who": "b", "n": 7, "text": "t"}).encode()
    place = next(r for r in committed(notes.kafka, notes.names["changes"]) if r[2] == b"b")
    produce(notes.kafka, notes.names["changes"], [(b"b", changed)], partition=place[0])
    told = notes.place.give("verify", "notes.py", "--allow-refused", code=1)
    assert "1 different" in told


def test_a_topic_that_lost_records_to_retention_is_sent_what_it_refused(notes: Notes) -> None:
    from confluent_kafka import TopicPartition

    notes.send(*(note(n, "ab"[n % 2], n, "t", f"w{n}") for n in range(20)))
    notes.send(note(30, "a", 50, "l" * LARGE, "x" * LARGE), note(31, "a", 51, "k" * LARGE))
    ends = {
        output: Counter(p for p, *_ in committed(notes.kafka, notes.names[output]))
        for output in ("changes", "copies", "once", "words")
    }
    admin = notes.kafka.admin()
    cut = [
        TopicPartition(notes.names[output], partition, 3)
        for output, partitions in ends.items()
        for partition, count in partitions.items()
        if count > 3
    ]
    for future in admin.delete_records(cut).values():
        future.result(20)
    before = {output: notes.values(output) for output in ("copies", "once", "words")}
    notes.enlarge()
    until(lambda: not refused_after_replay(notes), "no record is refused")
    assert "it holds" in notes.place.give("verify", "notes.py")
    for output, rows in before.items():
        more = [json.loads(row) for row in (bag(notes.values(output)) - bag(rows)).elements()]
        if output == "words":
            assert more == [{"word": "x" * LARGE}]
        else:
            assert sorted(row["n"] for row in more) == [50, 51], output
