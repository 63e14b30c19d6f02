"""Final rows that an earlier generation of the state gave: given once, whatever is corrected."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import headrace as hr
import headrace.testing
from headrace.ops.jobs.rebuilding import rebuild_job
from headrace.ops.jobs.states import reset
from headrace.testing import Driver
from tests.views.cases import START, thing, things

OUTPUTS = ("windows_lake", "windows_topic", "sessions_lake", "sessions_topic")


def app_of(condition: str = "who <> 'clock'", *, partitions: int = 1) -> hr.App:
    app, source = things(lateness="0s", partitions=partitions)
    app.lake("everything", source)
    kept = source.where(condition)
    views = {
        "windows": kept.tumble("10s").by("who").agg(n="count(*)"),
        "sessions": kept.session(gap="3s").by("who").agg(n="count(*)"),
    }
    for name, view in views.items():
        app.lake(f"{name}_lake", view, emit="final")
        app.topic(f"{name}_topic", view, emit="final")
    return app


def given(t: Driver, name: str) -> Counter[tuple[str, int]]:
    """How often each row was given that is no correction, by its start and count."""
    start = "window_start" if name.startswith("windows") else "session_start_time"
    rows: list[dict[str, Any]] = t.rows(name)
    if name.endswith("topic"):
        told = [row["value"] for row in rows if row["value"] is not None]
        plain = [row for row in told if not row.get("_correction")]
        return Counter((row[start][17:19], row["n"]) for row in plain)
    plain = [row for row in rows if not row["_correction"]]
    return Counter((row[start].strftime("%S"), row["n"]) for row in plain)


def begun_anew(t: Driver) -> None:
    t.close()
    reset(t.plan.jobs[0].id, t._settings)
    t.open()


@pytest.mark.parametrize("resets", [1, 2])
def test_a_correction_and_a_restart_give_no_window_twice(resets: int) -> None:
    """A partition that had given nothing holds the new generation behind what was given."""
    with headrace.testing.run(app_of(partitions=2), start=START) as t:
        t.send("things", [thing(s) for s in (1, 12, 23, 34, 45)], partition=0)
        t.verify()
        wanted = {name: given(t, name) for name in OUTPUTS}
        assert wanted["windows_lake"] == {(f"{s}0", 1): 1 for s in range(4)}
        t.send("things", [thing(12)], partition=0)
        t.rows("windows_lake")
        t.send("things", [thing(25, "clock")], partition=1)
        for number in range(resets):
            begun_anew(t)
            t.verify()
            (report,) = t.recompute()
            done = {d.name: d.corrected + d.missing + d.deleted for d in report.destinations}
            # The next generation finds the correction there.
            assert done["windows_lake"] == done["windows_topic"] == int(number == 0)
            assert done["sessions_lake"] == done["sessions_topic"] == 0
            t.verify()
            t.restart()
        t.verify()
        t.send("things", [thing(50, "clock")], partition=1)
        t.verify()
        assert {name: given(t, name) for name in OUTPUTS} == wanted
        t.send("things", [thing(61)], partition=0)
        t.send("things", [thing(62, "clock")], partition=1)
        t.recompute()
        t.verify()
        for name in OUTPUTS:
            assert set(given(t, name).values()) == {1}
        assert given(t, "windows_topic")["40", 1] == 1


def test_a_view_that_is_built_again_meanwhile_gives_no_row_twice() -> None:
    """What is there of the definition of before gives way once the generation comes by."""
    with headrace.testing.run(app_of(), start=START) as t:
        t.send("things", [thing(s, n=s) for s in (1, 2, 12, 13)])
        t.epoch()
        t.send("things", [thing(s, n=s) for s in (23, 24, 34, 35, 46, 47, 58)])
        t.epoch()
        t.verify()
        begun_anew(t)
        t.epoch(records_max=4)
        t.close()
        t.plan = app_of("n <> 2 and n <> 24").plan
        rebuild_job(t.plan.jobs[0], t._settings)
        for _ in range(2):
            t.open()
            t.close()
        t.open()
        t.verify()
        for name in OUTPUTS:
            assert set(given(t, name).values()) == {1}, name
        t.restart()
        t.verify()
        lake = {r["window_start"].second: r for r in by_epoch(t.rows("windows_lake"))}
        assert {second: row["n"] for second, row in lake.items()} == {
            0: 1,
            10: 2,
            20: 1,
            30: 2,
            40: 2,
        }


def by_epoch(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda r: r["_epoch"])


def test_what_is_put_back_as_it_was_is_given_what_it_lost(tmp_path: Path) -> None:
    """How far another copy was, or a lake that was taken away, says nothing of it."""
    with headrace.testing.run(app_of(), start=START) as t:
        lakes = t._settings.data / "lakes"
        t.send("things", [thing(s) for s in (1, 12, 23)])
        t.verify()
        t.close()
        shutil.copytree(lakes / "windows_lake", tmp_path / "older")
        t.open()
        t.send("things", [thing(s) for s in (34, 45, 56)])
        t.verify()
        wanted = given(t, "windows_lake")
        t.close()
        reset(t.plan.jobs[0].id, t._settings)
        t.open()
        t.epoch(records_max=3)
        t.close()
        shutil.rmtree(lakes / "windows_lake")
        shutil.copytree(tmp_path / "older", lakes / "windows_lake")
        t.open()
        assert given(t, "windows_lake") == wanted
        t.verify()
        t.close()
        shutil.rmtree(lakes / "windows_lake")
        reset(t.plan.jobs[0].id, t._settings)
        t.open()
        t.restart()
        assert given(t, "windows_lake") == wanted
        t.verify()
