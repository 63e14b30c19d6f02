"""A lake that lost events behind the job's back: nothing is computed from what is left."""

from __future__ import annotations

import pytest
from deltalake import DeltaTable

import headrace as hr
import headrace.testing
from headrace.ops.jobs.rebuilding import rebuild_job
from headrace.testing import Driver
from headrace.values.errors import StateRefused
from tests.views.cases import thing, things


def app_of(*, told: bool = False) -> hr.App:
    app, source = things(lateness="0s")
    app.lake("everything", source)
    counts = source.tumble("10s").by("who").agg(n="count(*)")
    app.table("counts", counts)
    if told:
        app.topic("told", counts)
    return app


def lost(t: Driver, who: str) -> None:
    """The lake lacks the events of `who` from here on."""
    t.verify()
    DeltaTable(str(t._settings.data / "lakes" / "everything")).delete(f"who = '{who}'")


def test_rows_that_are_served_stay() -> None:
    with headrace.testing.run(app_of()) as t:
        t.send("things", [thing(1, "a"), thing(2, "b"), thing(3, "b"), thing(31, "c")])
        lost(t, "b")
        before = t.rows("counts")
        with pytest.raises(StateRefused, match="nothing can be recomputed") as told:
            t.recompute()
        assert "4 events of things were accepted, lake everything has 2" in str(told.value)
        assert "headrace verify" in str(told.value)
        t.close()
        with pytest.raises(StateRefused, match="lake everything has 2"):
            rebuild_job(t.plan.jobs[0], t._settings, views=["counts"])
        t.plan = app_of(told=True).plan
        with pytest.raises(StateRefused, match="topic told lacks rows of view counts"):
            t.open()
        t.close()
        t.plan = app_of().plan
        t.open()
        assert t.rows("counts") == before
