"""Epochs made again for a destination that is older than what was noted of it."""

from __future__ import annotations

import shutil
from datetime import datetime
from pathlib import Path

import pytest

import headrace as hr
import headrace.testing
from headrace.engines.embedded.epochs.replay import replay_epochs
from headrace.ops.jobs.states import reset
from headrace.values.errors import StateRefused
from tests.views.cases import START, thing, things


class Small(hr.Event):
    """What refuses numbers that `Large` accepts."""

    checks = {"small": "n < 5"}
    at: datetime
    who: str
    n: int


class Large(hr.Event):
    at: datetime
    who: str
    n: int


def test_who_was_late_is_found_again(tmp_path: Path) -> None:
    """A lake put back as it was before is given the same rows once more, late ones as such."""
    app, source = things(lateness="5 seconds")
    app.table("minutes", source.tumble("1 minute").by("who").agg(c="count(*)"))
    app.table("seconds", source.where("n = 1").tumble("1 second").agg(c="count(*)"))
    app.table("sessions", source.session(gap="2 seconds").by("who").agg(c="count(*)"), key="who")
    app.table("firsts", source.dedupe(by=("who", "n")).tumble("1 minute").agg(c="count(*)"))
    app.lake("everything", source)
    rows = "select n, _late from lake.everything order by _offset"
    with headrace.testing.run(app, start=START) as t:
        t.send("things", [thing(0)])
        assert len(t.query(rows)) == 1
        t.close()
        [lake] = t._settings.data.glob("lakes/**/everything")
        shutil.copytree(lake, tmp_path / "older")
        t.open()
        t.send("things", [thing(90), thing(10), thing(10, n=2), thing(89), thing(80.5)])
        assert len(t.query(rows)) == 6
        # What was kept of it is forgotten once this is noted.
        t.send("things", [thing(95, n=3)])
        told = t.query(rows)
        t.close()
        shutil.rmtree(lake)
        shutil.copytree(tmp_path / "older", lake)
        t.open()
        assert t.query(rows) == told
    assert [set(row["_late"]) for row in told] == [
        set(),
        set(),
        {"minutes", "seconds", "sessions"},
        {"minutes", "sessions", "firsts"},
        set(),
        {"seconds", "sessions"},
        set(),
    ]


def test_a_lake_that_comes_later_is_told_who_was_late() -> None:
    """Of what was read before it was in the app, as of what is read with it."""

    def app_of(lake: bool) -> hr.App:
        app, source = things()
        minutes = source.tumble("1 minute").by("who")
        app.table("minutes", minutes.agg(c="count(*)"))
        firsts = source.dedupe(by=("who", "n")).tumble("1 minute")
        app.table("firsts", firsts.agg(c="count(*)"))
        if lake:
            app.lake("everything", source)
        return app

    both, one = {"minutes", "firsts"}, {"minutes"}
    with headrace.testing.run(app_of(False), start=START) as t:
        # The third is late and new; the fourth late and another's duplicate; the last on time.
        for event in (thing(0), thing(90, n=2), thing(10, n=3), thing(80, n=2), thing(20, n=2)):
            t.send("things", [event])
            t.epoch()
        assert t.late("firsts") == 1 and t.late("minutes") == 2
        t.close()
        t.plan = app_of(True).plan
        t.open()
        t.send("things", [thing(30, n=4), thing(95, n=5)])
        told = t.query("select n, _late from lake.everything order by _offset")
        t.verify()
    assert [(row["n"], set(row["_late"])) for row in told] == [
        (1, set()),
        (2, set()),
        (3, both),
        (2, set()),
        (2, one),
        (4, both),
        (5, set()),
    ]


def test_who_was_late_is_forgotten_with_the_records_of_an_app_without_a_lake() -> None:
    app, source = things()
    firsts = source.dedupe(by=("who", "n")).tumble("1 minute")
    app.table("firsts", firsts.agg(c="count(*)"))
    with headrace.testing.run(app, start=START) as t:
        t.send("things", [thing(0), thing(90, n=2), thing(10, n=3), thing(20, n=4)])
        assert t.late("firsts") == 2
        [runner] = t.runners.values()
        runner.engine.ledger.forget_late("things", [3])
        assert runner.store.rows('select "offset" from meta.late') == [(3,)]
        runner.engine.ledger.forget_late("things", [4])
        assert runner.store.rows("select * from meta.late") == []


@pytest.mark.parametrize("resets", [1, 2, 3])
def test_a_lake_put_back_as_an_earlier_generation_left_it(resets: int, tmp_path: Path) -> None:
    """What later generations gave it is given again, and each row once."""
    app, source = things(lateness="1 minute")
    app.lake("everything", source)
    rows = "select n from lake.everything order by n"
    with headrace.testing.run(app, start=START) as t:
        t.send("things", [thing(0, n=0)])
        assert len(t.query(rows)) == 1
        [lake] = t._settings.data.glob("lakes/**/everything")
        t.close()
        shutil.copytree(lake, tmp_path / "older")
        t.open()
        for n in range(1, resets + 1):
            t.send("things", [thing(n, n=n)])
            assert len(t.query(rows)) == n + 1
            t.close()
            reset(t.plan.jobs[0].id, t._settings)
            t.open()
        t.send("things", [thing(9, n=9)])
        told = t.query(rows)
        t.close()
        shutil.rmtree(lake)
        shutil.copytree(tmp_path / "older", lake)
        t.open()
        assert t.query(rows) == told
        assert all(proof.holds for proof in t.verify())


def replaying() -> tuple[hr.App, hr.App]:
    """An app that refuses large numbers, and the same after a fix."""
    apps = []
    for event in (Small, Large):
        app = hr.App("replayed")
        source = app.source(event, topic="things", key="who", time="at", partitions=1)
        firsts = source.dedupe(by=("who", "n")).tumble("1 minute")
        app.table("firsts", firsts.agg(c="count(*)"))
        app.lake("everything", source)
        apps.append(app)
    return apps[0], apps[1]


@pytest.mark.parametrize("resets", [1, 2])
def test_what_a_fixed_definition_accepts_after_a_reset_is_given(resets: int) -> None:
    """An earlier generation gave nothing of what it refused; each row is given once."""
    app, fixed = replaying()
    rows = "select n from lake.everything order by all"
    with headrace.testing.run(app, start=START) as t:
        t.send("things", [thing(0, n=9), thing(1, n=1)])
        assert [row["n"] for row in t.query(rows)] == [1]
        for plan in (app.plan,) * (resets - 1) + (fixed.plan,) * 2:
            t.close()
            reset(t.plan.jobs[0].id, t._settings)
            t.plan = plan
            t.open()
            t.epoch()
        t.send("things", [thing(100, n=8)])
        assert [row["n"] for row in t.query(rows)] == [1, 8, 9]
        assert all(proof.holds for proof in t.verify())


@pytest.mark.parametrize("when", ["before", "behind"])
def test_a_lake_put_back_gets_what_is_replayed(when: str, tmp_path: Path) -> None:
    """Whether the lake was put back before the replay or behind it."""
    app, fixed = replaying()
    rows = "select n, _replay, _late from lake.everything order by all"
    with headrace.testing.run(app, start=START) as t:
        t.send("things", [thing(0, n=9), thing(90)])
        assert len(t.query(rows)) == 1
        t.close()
        [lake] = t._settings.data.glob("lakes/**/everything")
        shutil.copytree(lake, tmp_path / "older")
        t.open()
        t.send("things", [thing(100)])
        assert len(t.query(rows)) == 2
        t.plan = fixed.plan
        t.restart()
        if when == "behind":
            assert t.replay() == 1
            assert len(t.query(rows)) == 3
            for runner in t.runners.values():
                # As when retention takes all of the topic: a replay is made of dead letters.
                runner.engine.ledger.forget_late("things", [3])
        t.close()
        shutil.rmtree(lake)
        shutil.copytree(tmp_path / "older", lake)
        t.open()
        if when == "before":
            assert t.replay() == 1
        assert [(row["n"], row["_late"]) for row in t.query(rows)] == [
            (1, []),
            (1, []),
            (9, ["firsts"]),
        ]
        t.verify()


def test_a_replay_that_refused_some_is_delivered_as_it_was() -> None:
    """The first dead letter stays one; a definition that refuses what was accepted is refused."""
    apps = []
    for event in (Small, Large):
        app = hr.App("replayed")
        source = app.source(event, topic="things", key="who", time="at", partitions=1)
        app.table("nines", source.where("n = 9").tumble("1 minute").agg(c="count(*)"))
        app.lake("once", source.dedupe(by=("who", "n")))
        app.lake("everything", source)
        apps.append(app)
    strict, fixed = apps
    with headrace.testing.run(strict, start=START) as t:
        t.send("things", [b"no event", thing(0, n=9), thing(1, n=8)])
        assert len(t.dead_letters()) == 3
        t.plan = fixed.plan
        t.restart()
        [runner] = t.runners.values()
        # As where it is killed before anything of this is delivered.
        now_us = runner.engine.ledger.time_us
        assert replay_epochs(runner.engine, now_us, lambda committed: None).refused == 1
        t.close()
        t.plan = strict.plan
        with pytest.raises(StateRefused, match="offset 1 was accepted.*this definition refuses it"):
            t.open()
        t.plan = fixed.plan
        t.open()
        for lake in ("once", "everything"):
            told = t.query(f"select n, _late from lake.{lake} order by n desc")
            assert [(row["n"], row["_late"]) for row in told] == [(9, ["nines"]), (8, [])]
        assert all(proof.holds for proof in t.verify())


def test_what_was_refused_when_it_was_read_is_not_delivered_by_a_fixed_definition(
    tmp_path: Path,
) -> None:
    """An epoch that is made again is what it was: its dead letters wait for a replay."""
    app, fixed = replaying()
    rows = "select n, _replay, _late from lake.everything order by _replay nulls first, _offset"
    once, late = ({"n": 1, "_replay": None, "_late": names} for names in ([], ["firsts"]))
    with headrace.testing.run(app, start=START) as t:
        t.send("things", [thing(0)])
        assert t.query(rows) == [once]
        t.close()
        lakes = t._settings.data / "lakes"
        shutil.copytree(lakes, tmp_path / "older")
        t.open()
        t.send("things", [thing(10, n=9), thing(90), thing(20, "b")])
        assert t.query(rows) == [once, once, late]
        t.close()
        shutil.rmtree(lakes)
        shutil.copytree(tmp_path / "older", lakes)
        t.plan = fixed.plan
        t.open()
        assert t.query(rows) == [once, once, late]
        t.verify()
        assert t.replay() == 1
        given = {"n": 9, "_replay": 1, "_late": ["firsts"]}
        assert t.query(rows) == [once, once, late, given]
        t.verify()


def test_what_was_accepted_is_not_left_out_by_a_stricter_definition(tmp_path: Path) -> None:
    strict, app = replaying()
    with headrace.testing.run(app, start=START) as t:
        t.send("things", [thing(0)])
        assert len(t.rows("everything")) == 1
        t.close()
        [lake] = t._settings.data.glob("lakes/**/everything")
        shutil.copytree(lake, tmp_path / "older")
        t.open()
        t.send("things", [thing(10, n=9)])
        assert len(t.rows("everything")) == 2
        t.close()
        shutil.rmtree(lake)
        shutil.copytree(tmp_path / "older", lake)
        t.plan = strict.plan
        with pytest.raises(StateRefused, match="offset 1 was accepted.*this definition refuses it"):
            t.open()
        t.plan = app.plan
        t.open()
        assert len(t.rows("everything")) == 2
        t.verify()


def test_a_lake_of_a_topic_that_the_app_was_given_later() -> None:
    """Earlier epochs have read nothing of it."""

    def app_of(later: bool) -> hr.App:
        app, source = things(partitions=2)
        app.table("totals", source.agg(n="count(*)"))
        if later:
            others = app.source(Large, topic="others", time="at", partitions=1)
            app.lake("kept", others)
            app.topic("copied", others.where("n > 1"))
        return app

    with headrace.testing.run(app_of(False), start=START) as t:
        for n in range(3):
            t.send("things", [thing(n)])
            t.epoch()
        t.close()
        t.plan = app_of(True).plan
        t.open()
        t.send("others", [{"at": START, "who": "a", "n": n} for n in (1, 2, 3)])
        t.send("things", [thing(4)])
        for _ in range(2):
            assert [row["n"] for row in t.rows("kept")] == [1, 2, 3]
            assert len(t.rows("copied")) == 2
            assert t.rows("totals") == [{"n": 4}]
            t.verify()
            t.restart()
