"""Corrections that are many go out as several epochs: a topic takes so many bytes at once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

import headrace as hr
import headrace.testing
from headrace.engines.embedded.deliveries import destinations
from headrace.engines.embedded.runner import JobRunner
from headrace.ops.jobs.rebuilding import rebuild_job
from headrace.proof import corrections
from headrace.storage.topics.writer import DEFAULT_LIMITS
from headrace.testing import Driver
from tests.views.cases import thing, things

# A hundredth of what there is room for, and of what one append takes far less.
PIECE_WEIGHT, GATHERED_WEIGHT, APPEND_BYTES_MAX = 1_000, 3_000, 140_000
KEYS = 6_000


@pytest.fixture
def small_appends(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """All that is told of the keys is more than one append may be; an epoch's part of it is not."""
    monkeypatch.setattr(corrections, "PIECE_WEIGHT", PIECE_WEIGHT, raising=False)
    monkeypatch.setattr(destinations, "_TOPIC_ROWS_MAX", GATHERED_WEIGHT)
    usual = DEFAULT_LIMITS.append_bytes_max
    object.__setattr__(DEFAULT_LIMITS, "append_bytes_max", APPEND_BYTES_MAX)
    yield
    object.__setattr__(DEFAULT_LIMITS, "append_bytes_max", usual)


def app_of(*topics: str, condition: str = "item >= 0") -> hr.App:
    app, source = things()
    made = source.explode("items", "item").where(condition).by("item").agg(n="count(*)")
    app.table("t", made)
    for topic in topics:
        app.topic(topic, made)
    return app


def told(t: Driver, topic: str) -> dict[str, list[Any]]:
    """By key what a topic tells, in order."""
    found: dict[str, list[Any]] = {}
    sql = f'select key, value from topic.{topic} order by "partition", "offset"'
    for row in t.query(sql):
        found.setdefault(row["key"], []).append(row["value"] and json.loads(row["value"])["n"])
    return found


def correction_epochs(t: Driver) -> list[int]:
    sql = "select distinct epoch from epochs where kind = 'correction' order by 1"
    return [row["epoch"] for row in t.query(sql)]


def test_a_topic_that_is_added_to_a_large_view_is_told_piece_by_piece(small_appends: None) -> None:
    with headrace.testing.run(app_of()) as t:
        for first in range(0, KEYS, 100):
            t.send("things", [thing(0, items=list(range(first, first + 100)))])
        t.verify()
        t.close()
        t.plan = app_of("told").plan
        t.open()
        assert told(t, "told") == {str(key): [1] for key in range(KEYS)}
        assert len(correction_epochs(t)) > 1
        t.verify()
        t.restart()
        t.send("things", [thing(1, items=[7])])
        assert told(t, "told")["7"] == [1, 2]
        t.verify()


def test_a_process_that_dies_before_all_is_handed_over_gives_the_rest_when_it_is_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(corrections, "PIECE_WEIGHT", 4)
    handed_over, left = JobRunner.handed_over, [2]

    def killed(self: JobRunner, committed: Any) -> None:
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        handed_over(self, committed)

    with headrace.testing.run(app_of()) as t:
        t.send("things", [thing(0, items=list(range(30)))])
        t.verify()
        t.close()
        t.plan = app_of("told").plan
        with monkeypatch.context() as patched:
            patched.setattr(JobRunner, "handed_over", killed)
            with pytest.raises(KeyboardInterrupt):
                t.open()
        t.open()
        assert told(t, "told") == {str(key): [1] for key in range(30)}
        assert len(correction_epochs(t)) == 8
        t.verify()


def test_rows_that_go_are_told_before_those_that_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corrections, "PIECE_WEIGHT", 4)
    with headrace.testing.run(app_of("told", condition="item < 20")) as t:
        t.send("things", [thing(0, items=list(range(30)))])
        t.verify()
        t.close()
        t.plan = app_of("told", condition="item >= 10").plan
        rebuild_job(t.plan.jobs[0], t._settings)
        t.open()
        expected = {str(k): [1, None] for k in range(10)} | {str(k): [1] for k in range(10, 30)}
        assert told(t, "told") == expected
        for partition in range(3):
            [found] = t.query(
                'select max("offset") filter (where value is null) as gone, min("offset") '
                "filter (where cast(key as integer) >= 20) as come "
                f'from topic.told where "partition" = {partition}'
            )
            assert found["gone"] < found["come"]
        t.verify()
