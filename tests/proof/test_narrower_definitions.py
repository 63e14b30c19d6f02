"""Events that the present definition refuses stay events: where no lake has them, that is said."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, ClassVar

import pytest

import headrace as hr
import headrace.testing
from headrace.ops.jobs.rebuilding import rebuild_job
from headrace.testing import Driver
from headrace.values.errors import StateRefused
from tests.views.cases import START, at


class Wide(hr.Event):
    at: datetime
    who: str


class WithField(Wide):
    extra: int | None


class WithCheck(Wide):
    checks: ClassVar[dict[str, str]] = {"who": "who <> 'b'"}


def counted(event: type[hr.Event], lake: bool = False, **options: Any) -> hr.App:
    app = hr.App("narrower")
    things = app.source(event, topic="things", time="at", key="who", partitions=1, **options)
    app.table("counts", things.tumble("10 seconds").agg(c="count(*)"))
    app.table("totals", things.by("who").agg(c="count(*)"))
    if lake:
        app.lake("everything", things)
    return app


NARROWER = {
    "a field more": lambda lake: counted(WithField, lake),
    "a check more": lambda lake: counted(WithCheck, lake),
    "less far ahead": lambda lake: counted(Wide, lake, ahead="30 seconds"),
}
ASKED: dict[str, Callable[[Driver], object]] = {
    "verify": lambda t: t.verify(),
    "recompute": lambda t: t.recompute(),
}


def sent(t: Driver) -> None:
    """Among them a record that all but `Wide` refuse, in one way or another."""
    t.send("things", [{"at": at(s), "who": "ab"[s % 2], "extra": "text"} for s in range(6)])
    t.send("things", [{"at": at(60), "who": "a"}])
    assert {r["who"]: r["c"] for r in t.rows("totals")} == {"a": 4, "b": 3}
    t.verify()


@pytest.mark.parametrize("what", NARROWER)
def test_without_a_lake_nothing_is_computed_from_fewer(what: str) -> None:
    with headrace.testing.run(counted(Wide), start=START) as t:
        sent(t)
        t.plan = NARROWER[what](False).plan
        t.restart()
        for ask in ASKED.values():
            with pytest.raises(
                StateRefused, match=r"accepted when it was read.*no lake"
            ) as refused:
                ask(t)
            assert "Put back the definition of then" in str(refused.value.remedy)
        assert {r["who"]: r["c"] for r in t.rows("totals")} == {"a": 4, "b": 3}
        t.close()
        with pytest.raises(StateRefused, match="no lake"):
            rebuild_job(t.plan.jobs[0], t._settings, views=["totals"])
        t.plan = counted(Wide).plan
        t.open()
        t.verify()


@pytest.mark.parametrize("what", NARROWER)
def test_from_a_lake_they_are_what_they_were(what: str) -> None:
    with headrace.testing.run(counted(Wide, lake=True), start=START) as t:
        sent(t)
        t.plan = NARROWER[what](True).plan
        t.restart()
        t.verify()
        t.recompute()
        t.close()
        rebuild_job(t.plan.jobs[0], t._settings, views=["totals", "counts"])
        t.open()
        assert {r["who"]: r["c"] for r in t.rows("totals")} == {"a": 4, "b": 3}
        t.verify()
