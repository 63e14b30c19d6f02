"""When a job gives back what malloc keeps: while there is little to do, and once a minute."""

from __future__ import annotations

import pytest

import headrace.testing
from headrace.engines.embedded import runner as running
from tests.views.cases import things


@pytest.mark.parametrize(("unread", "seconds", "times"), [(0, 60.0, 1), (9, 60.0, 0), (9, 0.0, 1)])
def test_a_job_that_is_always_busy_gives_back_too(
    unread: int, seconds: float, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[str] = []
    monkeypatch.setattr(running, "give_back", lambda: given.append("back"))
    monkeypatch.setattr(running, "_GIVE_BACK_SECONDS", seconds)
    app, source = things()
    app.table("counts", source.by("who").agg(n="count(*)"))
    with headrace.testing.run(app) as t:
        runner = t.runners["views"]
        monkeypatch.setattr(
            runner.engine, "lag", lambda: unread * runner.settings.epoch_records_max
        )
        given.clear()
        runner._keep_house()
        assert len(given) == times
