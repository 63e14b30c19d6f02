"""Local topics that others write to, or that retention has cut: what is a difference."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path

import pyarrow as pa

import headrace as hr
from headrace.storage.topics.log import LocalTopic


class Ping(hr.Event):
    who: str
    at: datetime


def app_of() -> hr.App:
    app = hr.App("pings")
    pings = app.source(Ping, topic="pings", key="who", time="at", partitions=1)
    app.topic("copy", pings.with_columns(loud="upper(who)"), partitions=1)
    return app


def fill(data: Path, count: int) -> None:
    topic = LocalTopic.ensure(data / "topics", "pings", 1)
    record = b'{"who": "ann", "at": "2026-03-01T10:00:00Z"}'
    topic.append(pa.array([record] * count), keys=pa.array([b"ann"] * count))


def test_records_of_a_known_producer_are_told_and_ours_are_proved(tmp_path: Path) -> None:
    app = app_of()
    fill(tmp_path, 5)
    app.run(until="caught-up", data=tmp_path)
    copy = LocalTopic.ensure(tmp_path / "topics", "copy", 1)
    copy.append_numbered(pa.array([b"{}", b"no"]), producer="billing", first_sequence=0)
    ((found,),) = (v.checked for v in app.verify(data=tmp_path))
    assert (found.different, found.rows) == (0, 7)
    assert found.note == "2 records are of others that write to it: billing"


def test_records_of_nobody_known_are_a_difference(tmp_path: Path) -> None:
    app = app_of()
    fill(tmp_path, 5)
    app.run(until="caught-up", data=tmp_path)
    LocalTopic.ensure(tmp_path / "topics", "copy", 1).append(pa.array([b"no"]))
    ((found,),) = (v.checked for v in app.verify(data=tmp_path))
    assert found.different == 1
    assert found.differences == ({"_kind": "unexpected", "partition": 0, "offset": 5},)


def test_what_retention_took_is_told(tmp_path: Path) -> None:
    app = app_of()
    for _ in range(3):
        fill(tmp_path, 5)
        app.run(until="caught-up", data=tmp_path)
    time.sleep(0.1)
    LocalTopic.ensure(tmp_path / "topics", "copy", 1).retain(50_000, 1)
    ((found,),) = (v.checked for v in app.verify(data=tmp_path))
    assert found.different == 0
    assert "it reaches back to offsets" in (found.note or "")
