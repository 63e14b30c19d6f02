"""A recompute leaves no output out: one that cannot be corrected stops it before it begins."""

from __future__ import annotations

import pytest

import headrace.testing
from headrace.proof import fixed as fixing
from headrace.proof.recompute import recompute
from headrace.values.errors import DestinationDown, Unreachable
from tests.views.cases import thing, things


def away(*_: object) -> int:
    raise Unreachable("the disk is away")


def test_an_output_that_is_down_stops_it_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fixing, "_OUTAGE_SECONDS_MAX", 0.1)
    app, source = things()
    counts = source.tumble("1 minute").by("who").agg(n="count(*)")
    app.table("counts", counts)
    app.lake("final_counts", counts, emit="final")
    app.topic("copy", source)
    with headrace.testing.run(app) as t:
        runner = t.runners["views"]
        t.send("things", [thing(i * 30) for i in range(10)])
        t.verify()
        t.send("things", [thing(0), thing(300)])
        t.epoch()
        destinations = {d.name: d.destination for d in runner.deliveries}
        for second, dry_run in ((600, True), (1200, False)):
            with monkeypatch.context() as broken:
                broken.setattr(destinations["final_counts"], "deliver", away)
                t.send("things", [thing(second)])
                t.epoch()
                with pytest.raises(DestinationDown) as told:
                    recompute(runner, dry_run=dry_run)
            assert "final_counts did not take" in str(told.value)
            assert "headrace recompute" in str(told.value)
            t.verify()
        # A stream's copy has nothing to correct.
        with monkeypatch.context() as broken:
            broken.setattr(destinations["copy"], "deliver", away)
            t.send("things", [thing(1300)])
            t.epoch()
            report = recompute(runner)
        assert {d.name: d.corrected for d in report.destinations} == {
            "counts": 1,
            "final_counts": 1,
        }
        t.verify()
