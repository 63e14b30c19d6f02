"""Local topics that others write to, or that retention has cut: what is a difference."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import headrace as hr
import headrace.testing
from headrace.storage.topics.log import LocalTopic
from headrace.testing import Driver
from tests.proof.letting_go import take_all
from tests.views.cases import thing, things


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


def written_by_others(t: Driver, name: str, rows: dict[bytes, bytes]) -> None:
    """Records of another job, in partition 0 of the topic `name`."""
    topic = LocalTopic.ensure(t._settings.data / "topics", name, 1, clock=t.clock.now_us)
    topic.append_numbered(
        pa.array(rows.values()), keys=pa.array(rows), producer="other/told", first_sequence=0
    )


def last_of(t: Driver, name: str) -> dict[str, Any]:
    """What each key of a topic shows."""
    return {row["key"]: row["value"] for row in sorted(t.rows(name), key=lambda r: r["offset"])}


END = "2026-01-01T00:00:10Z"
THEIRS = {
    b"zoe in theirs": b'{"window_start": "2026-01-01T00:00:00Z", "who": "zoe", '
    b'"window_end": "2026-01-01T00:00:10Z", "n": 7}',
    b"no row": b'{"total": 3}',
}


@pytest.mark.parametrize("emit", ["changes", "final"])
def test_a_recompute_leaves_the_rows_of_others_alone(emit: str) -> None:
    app, source = things(lateness="0s")
    counts = source.tumble("10s").by("who").agg(n="count(*)")
    app.topic("told", counts, partitions=1, emit=emit)
    with headrace.testing.run(app) as t:
        t.send("things", [thing(1, "a"), thing(2, "b"), thing(31, "a")])
        t.verify()
        written_by_others(t, "told", THEIRS)
        t.send("things", [thing(3, "a"), thing(4, "c")])
        (report,) = t.recompute()
        (found,) = report.destinations
        assert (found.corrected, found.missing, found.deleted) == (1, 1, 0)
        rows = last_of(t, "told")
        assert rows["no row"] == {"total": 3}
        counted = {row["who"]: row["n"] for row in rows.values() if row.get("window_end") == END}
        assert counted == {"a": 2, "b": 1, "c": 1, "zoe": 7}
        t.verify()
        assert [again.corrections for again in t.recompute()] == [0]


@pytest.mark.parametrize("emit", ["changes", "final"])
def test_a_recompute_takes_its_own_rows_back_beside_those_of_others(emit: str) -> None:
    """Two sessions become one."""
    app, source = things(lateness="0s")
    visits = source.session(gap="5s").by("who").agg(n="count(*)")
    app.topic("told", visits, partitions=1, emit=emit)
    with headrace.testing.run(app) as t:
        t.send("things", [thing(1), thing(8), thing(40), thing(60)])
        t.verify()
        written_by_others(t, "told", THEIRS)
        t.send("things", [thing(4)])
        (report,) = t.recompute()
        (found,) = report.destinations
        assert (found.corrected, found.missing, found.deleted) == (1, 0, 1)
        rows = last_of(t, "told")
        assert rows.pop("no row") == {"total": 3} and rows.pop("zoe in theirs") is not None
        starts = {row["session_start_time"]: row["n"] for row in rows.values() if row is not None}
        assert starts["2026-01-01T00:00:01Z"] == 3 and "2026-01-01T00:00:08Z" not in starts
        t.verify()


@pytest.mark.parametrize("emit", ["changes", "final"])
def test_a_recompute_does_not_tell_again_what_retention_took(emit: str) -> None:
    """What it changes of that, it tells."""
    app, source = things(lateness="0s")
    counts = source.tumble("10s").by("who").agg(n="count(*)")
    app.topic("told", counts, partitions=1, emit=emit)
    with headrace.testing.run(app) as t:
        t.send("things", [thing(1, "a"), thing(2, "b"), thing(31, "a")])
        t.verify()
        take_all(LocalTopic.ensure(t._settings.data / "topics", "told", 1))
        t.send("things", [thing(35, "b"), thing(61, "a")])
        before = t.rows("told")
        for _ in range(2):
            (report,) = t.recompute()
            assert report.corrections == 0
            assert t.rows("told") == before
        t.send("things", [thing(3, "a")])
        for corrections in (1, 0):
            (report,) = t.recompute()
            assert report.corrections == corrections
            assert [row["value"]["n"] for row in t.rows("told")[len(before) :]] == [2]
            t.verify()


@pytest.mark.parametrize("emit", ["changes", "final"])
def test_a_recompute_takes_back_what_retention_took(emit: str) -> None:
    """Whoever read it before has it still."""
    app, source = things(lateness="0s")
    visits = source.session(gap="5s").by("who").agg(n="count(*)")
    app.topic("told", visits, partitions=1, emit=emit)
    with headrace.testing.run(app) as t:
        t.send("things", [thing(1), thing(8), thing(40), thing(60)])
        keys = {row["value"]["session_start_time"]: row["key"] for row in t.rows("told")}
        take_all(LocalTopic.ensure(t._settings.data / "topics", "told", 1))
        t.send("things", [thing(4), thing(61)])
        before = len(t.rows("told"))
        for corrections in (2, 0):
            (report,) = t.recompute()
            assert report.corrections == corrections
            told = t.rows("told")[before:]
            assert sorted((row["key"], row["value"] and row["value"]["n"]) for row in told) == [
                (keys["2026-01-01T00:00:01Z"], 3),
                (keys["2026-01-01T00:00:08Z"], None),
            ]
            t.verify()
