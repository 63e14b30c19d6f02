"""The app as users see it from Python, with a profile as on the command line."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pytest

import headrace as hr
from headrace.storage.topics.log import LocalTopic
from headrace.values.errors import UsageError


class Tick(hr.Event):
    at: datetime


def make() -> hr.App:
    app = hr.App("t")
    app.table("n", app.source(Tick, topic="ticks", time="at", partitions=1).agg(n="count(*)"))
    return app


def test_a_profile_says_where_things_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "headrace.toml").write_text('[profile.mine]\ndata = "elsewhere"\n')
    topic = LocalTopic.ensure(tmp_path / "elsewhere" / "topics", "ticks", 1)
    topic.append(pa.array([b'{"at": "2026-01-01T00:00:00Z"}']))
    app = make()
    app.run(until="caught-up", profile="mine")
    assert app.query("select n from n", profile="mine").to_pylist() == [{"n": 1}]
    assert all(proof.holds for proof in app.verify(profile="mine"))
    with app.start(profile="mine") as running:
        assert running.settings.data == Path("elsewhere")
    assert not (tmp_path / "headrace-data").exists()
    with pytest.raises(UsageError, match="mine"):
        app.run(until="caught-up", profile="mien")


def test_what_is_added_after_a_run_is_there_at_the_next(tmp_path: Path) -> None:
    app = make()
    app.run(until="caught-up", data=tmp_path)
    assert app.plan is app.plan
    other = app.job("other")
    ticks = other.source(Tick, topic="ticks", time="at", partitions=1)
    other.table("more", ticks.agg(n="count(*)"))
    app.run(until="caught-up", data=tmp_path)
    assert app.query("select n from more", data=tmp_path, job="t.other").num_rows == 0


def test_a_difference_is_told_while_the_job_runs(tmp_path: Path) -> None:
    app = hr.App("t")
    ticks = app.source(Tick, topic="ticks", time="at", partitions=1)
    app.table("n", ticks.tumble("1 minute").agg(n="count(*)"))
    topic = LocalTopic.ensure(tmp_path / "topics", "ticks", 1)
    topic.append(pa.array([b'{"at": "2026-01-01T00:00:00Z"}']))
    app.run(until="caught-up", data=tmp_path)
    with app.start(data=tmp_path) as running:
        (runner,) = running.runners
        runner.call(lambda: runner.store.connection.execute("update n set n = 5"))
        (found,) = running.verify()
        assert not found.holds
        (table,) = [c for c in found.checked if c.different]
        assert table.name == "n" and "2026-01-01 00:00:00" in str(table.differences)
