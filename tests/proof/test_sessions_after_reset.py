"""A reset between a session's end and its closing: a final destination gets its row all the same.

A session ends at its last event, and closes when nothing can join it any more. What an earlier
generation delivered is what had closed.
"""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pytest

import headrace as hr
from headrace.ops.jobs.states import reset
from headrace.storage.topics.log import LocalTopic

from .test_definitions import holds, rows, settings


class Step(hr.Event):
    at: datetime
    who: str
    kind: Literal["start", "end", "other"]


def make() -> hr.App:
    app = hr.App("steps")
    steps = app.source(Step, topic="steps", key="who", time="at", partitions=1)
    marked = steps.session(starts="kind = 'start'", ends="kind = 'end'", timeout="8 seconds")
    gaps = steps.session(gap="8 seconds")
    for name, grouped in (("marked", marked), ("gaps", gaps)):
        view = grouped.by("who").agg(n="count(*)")
        app.lake(f"{name}_lake", view, emit="final")
        app.topic(f"{name}_topic", view, emit="final")
    app.lake("events", steps)
    return app


def send(data: Path, *steps: tuple[int, str, str]) -> None:
    lines = [
        json.dumps({"at": f"2026-01-01T00:00:{second:02}Z", "who": who, "kind": kind}).encode()
        for second, who, kind in steps
    ]
    LocalTopic.ensure(data / "topics", "steps", 1).append(pa.array(lines, pa.binary()))


@pytest.mark.parametrize("watermark", [5, 6, 10, 12, 15])
def test_what_had_ended_and_not_closed_is_delivered(watermark: int, tmp_path: Path) -> None:
    """Wherever the watermark stood between the first session's last event and the closing."""
    app = make()
    first = [(0, who, "start") for who in ("lapsed", "begun again", "ended")]
    first += [(1, "over", "start"), (2, "over", "end")]
    first += [(4, "lapsed", "other"), (4, "begun again", "other"), (5, "ended", "end")]
    send(tmp_path, *first, (watermark, "clock", "start"))
    app.run(until="caught-up", data=tmp_path)
    assert holds(app, tmp_path)
    reset(app.plan.jobs[0].id, settings(tmp_path))
    send(tmp_path, (watermark, "begun again", "start"), (50, "clock", "other"))
    app.run(until="caught-up", data=tmp_path)
    for name, wanted in (("marked", 6), ("gaps", 5 if watermark < 12 else 6)):
        closed = rows(app, tmp_path, f"select who, session_start_time from lake.{name}_lake")
        assert len(closed) == len({tuple(row.values()) for row in closed}) == wanted, closed
        told = rows(app, tmp_path, f"select value from topic.{name}_topic")
        assert len(told) == wanted
    assert holds(app, tmp_path)
