"""What a command commits has landed everywhere when it ends; or it says that it has not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from deltalake import DeltaTable

import headrace as hr
import headrace.testing
from headrace.engines.embedded.runner import JobRunner
from headrace.ops.jobs import letters, opened
from headrace.ops.jobs.ask import ask
from headrace.ops.jobs.rebuilding import rebuild_job
from headrace.proof import fixed as fixing
from headrace.proof.corrections import commit
from headrace.proof.recompute import recompute
from headrace.storage.lake.lake import DeltaLake
from headrace.testing import Driver
from headrace.values.errors import DestinationDown, Unreachable
from headrace.values.settings import Settings
from tests.views.cases import thing, things


def app_of() -> hr.App:
    app, source = things(lateness="0s")
    counts = source.tumble("10s").by("who").agg(n="count(*)")
    app.table("counts", counts)
    app.lake("closed", counts, emit="final")
    app.topic("told", counts, emit="final")
    return app


def with_a_late_one(t: Driver) -> Settings:
    """Of who a window is closed, and the second event came late; the lake takes its time."""
    t.send("things", [thing(1), thing(31)])
    t.verify()
    t.send("things", [thing(2)])
    t.verify()
    t.close()
    return replace(t._settings, lake_interval_seconds=3600.0)


def closed(t: Driver) -> list[int]:
    """What the lake holds of that window, by epoch."""
    table = DeltaTable(str(t._settings.data / "lakes" / "closed")).to_pyarrow_table()
    return [row["n"] for row in sorted(table.to_pylist(), key=lambda row: row["_epoch"])]


def away(*_: Any) -> int:
    raise Unreachable("the disk is away")


def test_what_a_recompute_corrects() -> None:
    app = app_of()
    with headrace.testing.run(app) as t:
        settings = with_a_late_one(t)
        report = ask(app.plan.jobs[0], settings, "recompute", {}).header
        assert report["corrections"] == 3 and closed(t) == [1, 2]


def test_what_a_rebuild_tells_and_recomputes() -> None:
    app = app_of()
    with headrace.testing.run(app) as t:
        settings = with_a_late_one(t)
        [view] = app.plan.jobs[0].views
        report = rebuild_job(app.plan.jobs[0], settings, views=[view.name])
        assert report["corrections"] == 3 and closed(t) == [1, 2]


def test_what_is_sent_again_after_a_replay(monkeypatch: pytest.MonkeyPatch) -> None:
    app = app_of()
    output = next(o for o in app.plan.jobs[0].outputs if o.name == "closed")

    def sent_again(runner: JobRunner) -> int:
        rows = runner.store.connection.sql(
            "select 'u' as _op, * replace (7 as n) from main.counts where n = 1 limit 1"
        ).to_arrow_table()
        runner.call(lambda: commit(runner, [(output, rows)], lambda _: None))
        return len(rows)

    monkeypatch.setattr(letters, "resend", sent_again)
    with headrace.testing.run(app) as t:
        settings = with_a_late_one(t)
        report = ask(app.plan.jobs[0], settings, "letters-replay", {}).header
        assert report["sent_again"] == 1 and closed(t) == [1, 7]


def test_a_destination_that_does_not_take_it_is_told_and_given_it_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app = app_of()

    def then_away(runner: JobRunner, **options: Any) -> Any:
        done = recompute(runner, **options)
        monkeypatch.setattr(DeltaLake, "deliver", away)
        return done

    monkeypatch.setattr(fixing, "_OUTAGE_SECONDS_MAX", 0.1)
    with headrace.testing.run(app) as t:
        settings = with_a_late_one(t)
        monkeypatch.setattr(opened, "recompute", then_away)
        with pytest.raises(DestinationDown, match="closed did not take") as told:
            ask(app.plan.jobs[0], settings, "recompute", {})
        assert "headrace run APP" in str(told.value) and closed(t) == [1]
        monkeypatch.undo()
        t.open()
        t.verify()
        assert closed(t) == [1, 2]
        assert [again.corrections for again in t.recompute()] == [0]
