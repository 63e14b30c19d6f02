"""A recompute puts right the rows of a table that keeps the latest of each smaller key."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import pyarrow as pa

import headrace as hr
from headrace.cli.main import call
from headrace.storage.topics.log import LocalTopic


class Seen(hr.Event):
    at: datetime
    who: str


app = hr.App("visits")
seen = app.source(Seen, topic="seen", partitions=1, key="who", time="at", lateness="1 minute")
visits = seen.session(gap="30 minutes").by("who").agg(count="count(*)")
app.table("visits", visits)
app.table("latest", visits, key="who")
app.lake("seen", seen)


def run(data: Path, records: Sequence[tuple[str, str]]) -> None:
    topic = LocalTopic.ensure(data / "topics", "seen", 1)
    values = [json.dumps({"at": f"2026-01-05T{at}:00Z", "who": who}) for at, who in records]
    topic.append(pa.array(values, pa.binary()), pa.array([who for _, who in records], pa.binary()))
    app.run(until="caught-up", data=data)


def recompute(data: Path) -> None:
    assert call(["recompute", f"{__file__}:app", "--data", str(data)]) == 0


def test_a_late_event_joins_the_latest_session_to_the_one_before(tmp_path: Path) -> None:
    """The session then begins before the row that is served, which must give way."""
    run(tmp_path, [("09:20", "a"), ("10:00", "a"), ("12:00", "b")])
    run(tmp_path, [("09:45", "a")])
    recompute(tmp_path)
    rows = app.query("from latest where who = 'a'", data=tmp_path).to_pylist()
    assert [(r["session_start_time"], r["count"]) for r in rows] == [
        (datetime(2026, 1, 5, 9, 20), 3)
    ]
    [proof] = app.verify(data=tmp_path)
    assert proof.holds
