"""A lake that was taken away before a reset: the next one in its place begins with nothing."""

from __future__ import annotations

import json
import shutil
from datetime import datetime
from pathlib import Path

import headrace as hr
import headrace.testing
from headrace.engines.embedded.epochs.seeking import start_of
from headrace.ops.jobs.states import begins, reset
from headrace.testing import Driver
from tests.views.cases import START, at

app = hr.App("taken_away")


class Thing(hr.Event):
    at: datetime
    n: int


things = app.source(Thing, topic="things", time="at", partitions=1)
app.table("totals", things.agg(c="count(*)"))
app.lake("everything", things)


def send(t: Driver, *numbers: int) -> None:
    records = [json.dumps({"at": f"{at(n).isoformat()}Z", "n": n}).encode() for n in numbers]
    t.send("things", records, partition=0)


def numbers(t: Driver) -> list[int]:
    """What the lake has, in order."""
    return sorted(row["n"] for row in t.rows("everything"))


def test_it_has_nothing_of_what_another_was_given(tmp_path: Path) -> None:
    """What it lacks after it was put back is given again, whatever another once had."""
    with headrace.testing.run(app, start=START) as t:
        send(t, 1, 2)
        lake = t._settings.data / "lakes/everything"
        for taken_away in (False, True):
            assert numbers(t) == [1, 2]
            t.close()
            if taken_away:
                shutil.rmtree(lake)
            reset("taken_away", t._settings)
            t.open()
        t.epoch(records_max=1)
        [runner] = t.runners.values()
        runner.settle()
        t.close()
        shutil.copytree(lake, tmp_path / "older")
        t.open()
        assert numbers(t) == [1, 2]
        t.close()
        shutil.rmtree(lake)
        shutil.copytree(tmp_path / "older", lake)
        t.open()
        assert numbers(t) == [1, 2]
        t.verify()


def test_its_rows_alone_are_counted() -> None:
    with headrace.testing.run(app, start=START) as t:
        send(t, 1)
        assert numbers(t) == [1]
        t.close()
        shutil.rmtree(t._settings.data / "lakes/everything")
        reset("taken_away", t._settings)
        t.open()
        assert numbers(t) == [1]
        t.verify()
        sums = "select sent, landed from conservation where kind = 'destination'"
        sums += " and name = 'everything'"
        assert t.query(sums) == [{"sent": 1, "landed": 1}]


def test_it_is_put_back(tmp_path: Path) -> None:
    """What it was given is not given to it again, by whichever generation of the state."""
    with headrace.testing.run(app, start=START) as t:
        send(t, 1, 2)
        assert numbers(t) == [1, 2]
        [job] = app.plan.jobs
        t.close()
        reset("taken_away", t._settings, begins(job, t._settings, start_of("latest")))
        t.open()
        send(t, 3, 4)
        assert numbers(t) == [1, 2, 3, 4]
        lake = t._settings.data / "lakes/everything"
        there = [1, 2, 3, 4]
        for away in (tmp_path / "all", tmp_path / "more"):
            t.close()
            lake.rename(away)
            reset("taken_away", t._settings)
            t.open()
            there.append(len(there) + 1)
            send(t, there[-1])
            assert numbers(t) == there
        for away in (tmp_path / "more", tmp_path / "all"):
            t.close()
            shutil.rmtree(lake)
            away.rename(lake)
            t.open()
            assert numbers(t) == [1, 2, 3, 4, 5, 6]
            t.verify()
