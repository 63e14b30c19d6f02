"""Outputs keep what the state of before accepted and this one refused: no events any more."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa
import pytest

import headrace as hr
import headrace.testing
from headrace.ops.jobs.rebuilding import rebuild_job
from headrace.ops.jobs.states import reset
from headrace.proof.earlier import REFUSED_SINCE
from headrace.proof.verify import verify
from headrace.storage.topics.log import LocalTopic
from headrace.testing import Driver
from headrace.values.errors import DifferenceFound
from tests.proof.test_narrower_definitions import Wide, WithCheck
from tests.views.cases import START, at


def counted(event: type[hr.Event], lake: bool = True) -> hr.App:
    """A lake of all events, one of some, topics of streams, a window, and running totals."""
    app = hr.App("narrowed")
    things = app.source(event, topic="things", time="at", key="who", partitions=1, lateness="0s")
    if lake:
        app.lake("everything", things)
        app.lake("some", things.where("who <> 'c'"))
    app.topic("copies", things, partitions=1)
    app.topic("letters", things.explode("[who, 'x']", "letter"), partitions=1)
    app.table("minutes", things.tumble("1 minute").agg(n="count(*)", who="list(who)"))
    app.table("totals", things.by("who").agg(n="count(*)"))
    return app


def sent(t: Driver, *records: tuple[float, str]) -> None:
    t.send("things", [{"at": at(second), "who": who} for second, who in records])
    t.rows("totals")


def begun_anew(t: Driver, app: hr.App) -> None:
    t.close()
    reset(t.plan.jobs[0].id, t._settings)
    t.plan = app.plan
    t.open()
    t.rows("totals")


def built_again(t: Driver) -> None:
    t.close()
    rebuild_job(t.plan.jobs[0], t._settings, views=["totals", "minutes"])
    t.open()


def totals(t: Driver) -> dict[str, int]:
    return {row["who"]: row["n"] for row in t.rows("totals")}


def notes(t: Driver) -> dict[str, str | None]:
    return {c.name: c.note for (proof,) in [t.verify()] for c in proof.checked}


ASKED: dict[str, Callable[[Driver], object]] = {
    "verify": lambda t: t.verify(),
    "recompute": lambda t: t.recompute(),
    "rebuild": built_again,
}


@pytest.mark.parametrize("asked", ASKED)
def test_what_was_refused_is_no_event_although_the_lake_has_it(asked: str) -> None:
    with headrace.testing.run(counted(Wide), start=START) as t:
        sent(t, (0, "a"), (1, "b"), (2, "b"), (3, "c"), (70, "a"))
        begun_anew(t, counted(WithCheck))
        assert t.counts("things") == {"read": 5, "accepted": 3, "dead_lettered": 2}
        assert len(t.rows("everything")) == 5
        ASKED[asked](t)
        assert totals(t) == {"a": 2, "c": 1}
        assert [row["who"] for row in t.rows("minutes")] == [["a", "c"], ["a"]]
        sent(t, (71, "b"), (130, "a"))
        assert t.counts("totals") == {"accepted": 4, "applied": 4}
        assert t.query("from conservation where not balanced") == []
        t.verify()


@pytest.mark.parametrize("lake", [True, False], ids=["lake", "log"])
def test_a_topic_holds_rows_of_what_was_refused_since_and_no_others(lake: bool) -> None:
    with headrace.testing.run(counted(Wide, lake), start=START) as t:
        sent(t, (0, "a"), (1, "b"), (2, "b"))
        assert notes(t)["copies"] is None
        begun_anew(t, counted(WithCheck, lake))
        # What came refused was given to nobody.
        sent(t, (3, "b"), (4, "a"))
        assert notes(t)["copies"] == f"2 {REFUSED_SINCE}"
        assert notes(t)["letters"] == f"4 {REFUSED_SINCE}"
        topic = LocalTopic.ensure(t._settings.data / "topics", "copies", 1)
        topic.append(pa.array([b'{"at": "2026-01-01T00:00:01Z", "who": "b"}']))
        with pytest.raises(DifferenceFound, match="topic copies: 1 rows differ"):
            t.verify()
        [runner] = t.runners.values()
        [copies] = (c for c in verify(runner).checked if c.name == "copies")
        assert f"2 {REFUSED_SINCE}" in (copies.note or "") and "somebody else" in copies.note


def test_what_this_state_refused_itself_is_no_reason_for_a_row() -> None:
    """Both generations refused the record: nobody was given it."""
    with headrace.testing.run(counted(WithCheck), start=START) as t:
        sent(t, (0, "a"), (1, "b"))
        begun_anew(t, counted(WithCheck))
        sent(t, (2, "a"))
        t.verify()
        topic = LocalTopic.ensure(t._settings.data / "topics", "copies", 1)
        topic.append(pa.array([b'{"at": "2026-01-01T00:00:01Z", "who": "b"}']))
        with pytest.raises(DifferenceFound, match="topic copies: 1 rows differ"):
            t.verify()


def test_what_is_replayed_then_counts_as_replayed() -> None:
    """It moves no watermark and is late for the window, wherever the lake has it from."""
    with headrace.testing.run(counted(Wide), start=START) as t:
        sent(t, (0, "a"), (100, "b"), (30, "c"))
        assert t.late("minutes") == 1
        begun_anew(t, counted(WithCheck))
        # Without b nothing has closed the first minute before c came.
        assert t.late("minutes") == 0
        t.verify()
        t.close()
        t.plan = counted(Wide).plan
        t.open()
        assert t.replay() == 1
        assert totals(t) == {"a": 1, "b": 1, "c": 1}
        t.verify()
        sent(t, (31, "c"), (100, "b"))
        late = t.late("minutes")
        t.verify()
        t.recompute()
        built_again(t)
        assert (totals(t), t.late("minutes")) == ({"a": 1, "b": 2, "c": 2}, late)
        t.verify()
