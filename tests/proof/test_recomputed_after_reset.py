"""A recompute after a reset leaves final rows alone that another generation of the state gave."""

from __future__ import annotations

from typing import Any

import pytest

import headrace as hr
import headrace.testing
from headrace.engines.embedded.epochs.seeking import start_of
from headrace.ops.jobs.states import begins, reset
from headrace.proof.recompute import recompute
from headrace.testing import Driver
from tests.views.cases import START, thing, things

OUTPUTS = ("windows_lake", "windows_topic", "sessions_lake", "sessions_topic")


def app_of() -> hr.App:
    app, source = things(lateness="0s")
    views = {
        "windows": source.tumble("10s").by("who").agg(n="count(*)"),
        "sessions": source.session(gap="3s").by("who").agg(n="count(*)"),
    }
    for name, view in views.items():
        app.table(name, view)
        app.lake(f"{name}_lake", view, emit="final")
        app.topic(f"{name}_topic", view, emit="final")
    return app


def held(t: Driver) -> dict[str, list[Any]]:
    return {name: t.rows(name) for name in OUTPUTS}


def shown(t: Driver, name: str) -> dict[tuple[str, str], int]:
    """The last `n` of each key, by who and second of the start; withdrawn ones are not there."""
    found: dict[Any, tuple[str, str, int] | None] = {}
    start = "window_start" if name.startswith("windows") else "session_start_time"
    if name.endswith("lake"):
        rows = sorted(t.rows(name), key=lambda r: r["_epoch"])
        for row in rows:
            key = row["who"], row[start].strftime("%H:%M:%S")
            found[key] = None if row["_withdrawn"] else (*key, row["n"])
    else:
        for row in sorted(t.rows(name), key=lambda r: (r["partition"], r["offset"])):
            value = row["value"]
            found[row["partition"], row["key"]] = value and (
                value["who"],
                value[start][11:19],
                value["n"],
            )
    return {(one[0], one[1]): one[2] for one in found.values() if one is not None}


def begun_anew(t: Driver, start: str | None = None) -> None:
    t.close()
    job = t.plan.jobs[0]
    at = None if start is None else begins(job, t._settings, start_of(start))
    reset(job.id, t._settings, at)
    t.open()


def test_what_the_new_generation_has_not_read_is_neither_withdrawn_nor_cut() -> None:
    """The window in which it began to read it has seen in part."""
    with headrace.testing.run(app_of(), start=START) as t:
        t.send("things", [thing(1), thing(2), thing(12), thing(21), thing(31), thing(32)])
        t.verify()
        t.rows("windows")
        begun_anew(t, "latest")
        t.send("things", [thing(33), thing(45), thing(61), thing(71)])
        t.rows("windows")
        before = {name: shown(t, name) for name in OUTPUTS}
        rows = held(t)
        assert before["windows_lake"]["a", "00:00:00"] == 2
        t.send("things", [thing(46, n=2), thing(34)])
        t.rows("windows")
        (dry,) = [recompute(r, dry_run=True) for r in t.runners.values()]
        (done,) = t.recompute()
        for report in (dry, done):
            found = {d.name: d for d in report.destinations}
            for name in OUTPUTS:
                one = found[name]
                assert (one.equal, one.corrected, one.missing, one.deleted) == (0, 0, 0, 0)
                assert one.note is not None and "earlier generation" in one.note
            # Tables begin anew with the generation.
            assert found["windows"].note is None and found["windows"].corrected == 2
        assert held(t) == rows
        t.verify()
        t.restart()
        t.verify()
        assert held(t) == rows


@pytest.mark.parametrize("again", [False, True], ids=["one reset", "two resets"])
def test_while_it_reads_again_nothing_is_corrected_and_afterwards_all_is(again: bool) -> None:
    with headrace.testing.run(app_of(), start=START) as t:
        # A late event is among what was read of it by then.
        t.send("things", [thing(1), thing(2), thing(12), thing(5), thing(13)])
        t.epoch()
        t.send("things", [thing(31), thing(32), thing(47), thing(61)])
        t.epoch()
        t.send("things", [thing(11), thing(80)])
        t.verify()
        rows = held(t)
        for _ in range(1 + again):
            begun_anew(t)
            t.epoch(records_max=5)
            [runner] = t.runners.values()
            report = recompute(runner)
            assert {d.name for d in report.destinations if d.note is not None} == set(OUTPUTS)
        t.verify()
        assert held(t) == rows
        t.restart()
        t.verify()
        assert held(t) == rows
        (report,) = t.recompute()
        assert all(d.note is None for d in report.destinations)
        t.verify()
        assert shown(t, "windows_lake") == shown(t, "windows_topic")
        assert shown(t, "windows_lake")["a", "00:00:00"] == 3
        assert shown(t, "windows_lake")["a", "00:00:10"] == 3
        assert shown(t, "sessions_lake") == shown(t, "sessions_topic")
        assert shown(t, "sessions_lake")["a", "00:00:11"] == 3
