"""A definition that is changed before anything was read: the job takes it as its first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

import headrace as hr
from headrace.storage.topics.log import LocalTopic
from tests.views.cases import things


def windows(source: Any) -> dict[str, Any]:
    return {
        "running": source,
        "tumbling": source.tumble("1 minute"),
        "sliding": source.slide("2 minutes", every="1 minute"),
        "gaps": source.session(gap="1 minute"),
        "marked": source.session(starts="kind = 'x'", ends="kind = 'y'", timeout="1 minute"),
    }


def counted() -> hr.App:
    app, source = things()
    for name, window in windows(source).items():
        app.table(name, window.by("who").agg(c="count(*)"))
    once = source.dedupe(by="who")
    app.table("firsts", once.by("who").agg(c="count(*)"))
    app.lake("once", once)
    app.lake("every", source)
    app.topic("copy", source.select(who="who"))
    app.table("gone", source.by("kind").agg(c="count(*)"))
    app.table("latest", source.select(who="who", n="n"), key="who")
    return app


def changed() -> hr.App:
    app, source = things()
    for name, window in windows(source).items():
        app.table(name, window.by("who").agg(total="sum(n)", least="min(f)", text="max(text)"))
    once = source.dedupe(by=("who", "kind"), within="1 hour")
    app.table("firsts", once.by("who").agg(c="count(*)"))
    app.lake("once", once)
    app.lake("every", source.with_columns(note="kind || 'y'"))
    app.topic("copy", source.select(who="who", kind="kind"))
    app.table("latest", source, key="who")
    return app


def test_a_definition_changed_before_the_first_record(tmp_path: Path) -> None:
    LocalTopic.ensure(tmp_path / "topics", "things", 1)
    counted().run(until="caught-up", data=tmp_path)
    app = changed()
    app.run(until="caught-up", data=tmp_path)
    topic = LocalTopic.open(tmp_path / "topics", "things")
    line = (
        b'{"at": "2026-01-01T00:00:%02dZ", "who": "a", "kind": "%s", "n": %d, "f": 0.5, '
        b'"text": "t", "items": []}'
    )
    topic.append(pa.array([line % (n, b"xxzy"[n : n + 1], n) for n in range(4)]))
    app.run(until="caught-up", data=tmp_path)
    assert app.query("select total, least, text from running", data=tmp_path).to_pylist() == [
        {"total": 6, "least": 0.5, "text": "t"}
    ]
    assert app.query("select n from latest", data=tmp_path).to_pylist() == [{"n": 3}]
    assert all(found.holds for found in app.verify(data=tmp_path))
