"""Views built again while a lake is behind: what it lacks is read from the log."""

from __future__ import annotations

from typing import Any

import pytest

import headrace.testing
from headrace.ops.jobs.rebuilding import rebuild_job
from headrace.testing import Driver
from tests.views.cases import thing, things


def commit_alone(t: Driver) -> None:
    """An epoch that no destination is told of, as when the process is killed behind the commit."""
    runner = t.runners["views"]
    assert runner.engine.epoch(t.clock.now_us(), 1 << 40) is not None


@pytest.mark.parametrize(
    ("lake_has", "log_has"), [("nothing", "all"), ("some", "all"), ("some", "the rest")]
)
def test_a_lake_that_is_behind_takes_no_event_from_a_rebuilt_view(
    lake_has: str, log_has: str
) -> None:
    app, source = things(lateness="1 minute")
    app.lake("everything", source)
    app.table("totals", source.by("who").agg(n="count(*)", all="list(n)"))
    wanted: list[dict[str, Any]] = [{"who": "a", "n": 5, "all": [0, 1, 2, 3, 4]}]
    with headrace.testing.run(app) as t:
        t.send("things", [thing(i, n=i) for i in range(3)])
        if lake_has == "some":
            assert len(t.rows("everything")) == 3
            if log_has != "all":
                t.restart()
                t._topics["things"].retain(1, now_us=t.clock.now_us() + 3_600_000_000)
                assert t._topics["things"].begin_offsets() == [3]
        t.send("things", [thing(i, n=i) for i in (3, 4)])
        commit_alone(t)
        t.close()
        rebuild_job(t.plan.jobs[0], t._settings, views=["totals"])
        t.open()
        assert t.rows("totals") == wanted
        assert len(t.rows("everything")) == 5
        assert t.counts("totals") == {"accepted": 5, "applied": 5}
        t.verify()


def test_a_view_that_is_built_again_keeps_its_dead_letters() -> None:
    app, source = things(lateness="1 minute")
    app.lake("everything", source)
    app.table("sums", source.agg(s="sum(cast(text as bigint))"))
    with headrace.testing.run(app) as t:
        for text in ("1", "one", "2", "two"):
            t.send("things", [thing(0, text=text)])
            t.epoch()
        before = t.dead_letters()
        t.close()
        rebuild_job(t.plan.jobs[0], t._settings, views=["sums"])
        t.open()
        assert len(before) == 2 and t.dead_letters() == before
        t.verify()
