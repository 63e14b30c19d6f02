"""Reading on after a topic was made again or lost records: provable, and delivered once."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import duckdb
import numpy as np
import pyarrow as pa
import pytest

import headrace as hr
from headrace.engines.embedded.epochs.engine import Committed, JobEngine
from headrace.engines.embedded.epochs.seeking import commit_seek, move_of, start_of
from headrace.engines.embedded.runner import JobRunner
from headrace.ops.jobs import states
from headrace.ops.jobs.ask import ask
from headrace.ops.jobs.letters import replayed
from headrace.ops.jobs.rebuilding import rebuild_job
from headrace.ops.jobs.seeking import seeking
from headrace.storage.topics.log import LocalTopic
from headrace.values.points import VARIABLE
from headrace.values.settings import load_settings
from tests.children import ROOT
from tests.proof.test_definitions import holds, rows, settings

PARTITIONS = 2


class Ping(hr.Event):
    who: str
    at: datetime
    n: int


class Strict(hr.Event):
    who: str
    kind: Literal["x"]


class Lenient(hr.Event):
    who: str
    kind: Literal["x", "y"]


def pings(lake: bool = True) -> hr.App:
    app = hr.App("pings")
    source = app.source(Ping, topic="pings", key="who", time="at", partitions=PARTITIONS)
    app.table("counts", source.tumble("1 minute").by("who").agg(n="count(*)", last="last(n)"))
    app.table("totals", source.by("who").agg(n="count(*)", last="last(n)"))
    once = source.dedupe(by=("who", "n"))
    app.table("once", once.by("who").agg(n="count(*)"))
    app.topic("copy", source)
    app.topic("fresh", once)
    if lake:
        app.lake("events", source)
    return app


APP = pings()


def topic_of(data: Path) -> LocalTopic:
    return LocalTopic.ensure(data / "topics", "pings", PARTITIONS)


def send(data: Path, numbers: range, partition: int | None = None, minute: int = 0) -> None:
    """Records of these numbers, one a second, a bad one for each that is divided by ten."""
    values = [record(n, minute) if n % 10 else b"{" for n in numbers]
    place = [n % 2 if partition is None else partition for n in numbers]
    topic_of(data).append(pa.array(values, pa.binary()), partition=np.array(place))


def record(n: int, minute: int) -> bytes:
    at = f"2026-03-01T10:{minute + n // 60:02}:{n % 60:02}Z"
    return json.dumps({"who": "ann" if n % 2 else "bob", "at": at, "n": n}).encode()


def make_again(data: Path) -> None:
    # In one step: somebody may be reading it.
    (data / "topics" / "pings").rename(data / f"gone-{time.monotonic_ns()}")
    topic_of(data)


def run(data: Path, app: hr.App = APP) -> None:
    app.run(until="caught-up", data=data)


def seek(data: Path, place: str, app: hr.App = APP) -> int | None:
    with seeking(app.plan.jobs[0], settings(data), None, start_of(place)) as found:
        return None if found.stays else found.commit()


def total(data: Path, table: str, app: hr.App = APP) -> int:
    found = rows(app, data, f"select coalesce(sum(n), 0)::int as n from {table}")[0]["n"]
    assert isinstance(found, int)
    return found


def lake_rows(data: Path) -> int:
    counted = rows(
        APP,
        data,
        "select count(*) as n, count(distinct (_topic_generation, _partition, _offset)) as d "
        "from lake.events",
    )[0]
    assert counted["n"] == counted["d"]
    return int(counted["n"])


def test_a_topic_made_again_is_read_on_with_the_state_kept(tmp_path: Path) -> None:
    send(tmp_path, range(200))
    run(tmp_path)
    make_again(tmp_path)
    # The same records: their offsets, keys and times are those of the old ones.
    send(tmp_path, range(100))
    with pytest.raises(hr.TopicRefused, match="headrace state seek APP pings --from earliest"):
        run(tmp_path)
    seek(tmp_path, "earliest")
    run(tmp_path)
    assert holds(APP, tmp_path)
    assert total(tmp_path, "totals") == 270
    # A dedupe remembers by partition, and those of the new topic are others.
    assert total(tmp_path, "once") == 270
    assert lake_rows(tmp_path) == 270
    assert len(rows(APP, tmp_path, "from topic.copy")) == 270
    kinds = rows(APP, tmp_path, "select kind from epochs order by epoch")
    assert [k["kind"] for k in kinds] == ["live", "seek", "live"]
    letters = rows(
        APP,
        tmp_path,
        "select count(*) as n, count(distinct topic_generation) as g from dead_letters",
    )
    assert letters == [{"n": 30, "g": 2}]
    # The source's watermark never goes back: the new records are late for closed windows.
    assert total(tmp_path, "counts") < 270
    ask(APP.plan.jobs[0], settings(tmp_path), "recompute", {})
    assert holds(APP, tmp_path)
    rebuild_job(APP.plan.jobs[0], settings(tmp_path), views=["counts", "totals", "once"])
    assert holds(APP, tmp_path)
    send(tmp_path, range(200, 260))
    run(tmp_path)
    assert holds(APP, tmp_path)


def test_made_again_and_again(tmp_path: Path) -> None:
    for again in range(4):
        send(tmp_path, range(50), minute=again)
        if again:
            seek(tmp_path, "earliest")
        run(tmp_path)
        assert holds(APP, tmp_path)
        assert total(tmp_path, "totals") == lake_rows(tmp_path) == 45 * (again + 1)
        make_again(tmp_path)


def test_last_is_the_newest_generation_s_at_one_time(tmp_path: Path) -> None:
    """Rows of one time stand in the order in which the generations were read."""
    record_at = b'{"who": "ann", "at": "2026-03-01T10:00:00Z", "n": %d}'
    for again, values in enumerate([[1, 2, 3], [4, 5]]):
        if again:
            make_again(tmp_path)
        topic_of(tmp_path).append(
            pa.array([record_at % n for n in values]), partition=np.array([1 - again] * len(values))
        )
        if again:
            seek(tmp_path, "earliest")
        run(tmp_path)
    assert rows(APP, tmp_path, "select last from totals") == [{"last": 5}]
    assert holds(APP, tmp_path)


def test_without_a_lake_verify_says_how_far_it_reaches(tmp_path: Path) -> None:
    app = pings(lake=False)
    send(tmp_path, range(100))
    run(tmp_path, app)
    make_again(tmp_path)
    send(tmp_path, range(100))
    seek(tmp_path, "earliest", app)
    run(tmp_path, app)
    (found,) = app.verify(data=tmp_path)
    assert found.holds and not any(c.compared for c in found.checked)
    assert found.origins == ("the log, which holds only the present generation of the topic",)
    assert total(tmp_path, "totals", app) == 180


def letters_of_two_generations(data: Path) -> hr.App:
    """A job with dead letters in two generations of its topic; the app that accepts them."""

    def app_of(event: type[hr.Event]) -> hr.App:
        app = hr.App("letters")
        source = app.source(event, topic="pings", key="who", partitions=1)
        app.table("totals", source.by("who").agg(n="count(*)"))
        app.table("once", source.dedupe(by=("who", "kind")).by("who").agg(n="count(*)"))
        app.lake("events", source)
        app.topic("copy", source)
        return app

    strict, lenient = app_of(Strict), app_of(Lenient)
    for again in range(2):
        topic = LocalTopic.ensure(data / "topics", "pings", 1)
        topic.append(pa.array([b'{"who": "a", "kind": "y"}', b'{"who": "a", "kind": "x"}']))
        if again:
            seek(data, "earliest", strict)
        run(data, strict)
        if not again:
            shutil.rmtree(data / "topics" / "pings")
    rebuild_job(lenient.plan.jobs[0], settings(data))
    return lenient


def test_dead_letters_of_two_generations_are_replayed_apart(tmp_path: Path) -> None:
    lenient = letters_of_two_generations(tmp_path)
    report = ask(lenient.plan.jobs[0], settings(tmp_path), "letters-replay", {}).header
    assert (report["accepted"], report["refused"]) == (2, 0)
    assert total(tmp_path, "totals", lenient) == total(tmp_path, "once", lenient) == 4
    assert holds(lenient, tmp_path)


@pytest.mark.parametrize("stands", [True, False])
def test_what_a_replay_committed_before_it_failed_is_delivered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stands: bool
) -> None:
    """The second generation's epoch fails; the job goes on, or stands still and is opened again."""
    lenient = letters_of_two_generations(tmp_path)
    [job] = lenient.plan.jobs
    commits = []

    def commit_one(engine: JobEngine, *arguments: Any) -> Committed:
        commits.append(arguments)
        if len(commits) == 2:
            raise duckdb.OutOfMemoryException("Out of Memory Error: 1 GB")
        return commit_replay(engine, *arguments)

    commit_replay = JobEngine.commit_replay
    monkeypatch.setattr(JobEngine, "commit_replay", commit_one)
    with JobRunner(job, settings(tmp_path)) as runner:
        with pytest.raises(duckdb.OutOfMemoryException):
            replayed(runner)
        if not stands:
            LocalTopic.ensure(tmp_path / "topics", "pings", 1).append(
                pa.array([b'{"who": "b", "kind": "x"}'])
            )
            runner.run(until="caught-up")
    assert len(commits) == 2
    rest = ask(job, settings(tmp_path), "letters-replay", {}).header
    assert rest["accepted"] == 1
    run(tmp_path, lenient)
    wanted = 4 if stands else 5
    counted = "select count(*)::int as n from "
    for place in ("lake.events", "topic.copy"):
        assert rows(lenient, tmp_path, counted + place) == [{"n": wanted}], place
    assert total(tmp_path, "totals", lenient) == wanted
    assert holds(lenient, tmp_path)


def test_records_lost_to_retention_are_left_out(tmp_path: Path) -> None:
    send(tmp_path, range(20))
    run(tmp_path)
    # Nobody who reads is passed: somebody has to forget this job first.
    for first in (20, 40):
        send(tmp_path, range(first, first + 20))
    topic_of(tmp_path).forget_reader("pings")
    topic_of(tmp_path).retain(0, 0, now_us=1 << 60)
    send(tmp_path, range(60, 80))
    with pytest.raises(hr.TopicRefused, match="(?s)offset 10 .*seek APP pings --from earliest"):
        run(tmp_path)
    with seeking(APP.plan.jobs[0], settings(tmp_path), "pings", start_of("earliest")) as found:
        (move,) = found.moves
        assert (move.skipped, move.gone, move.after) == ([20, 20], [20, 20], [30, 30])
        found.commit()
    run(tmp_path)
    assert holds(APP, tmp_path)
    assert total(tmp_path, "totals") == lake_rows(tmp_path) == 36


@pytest.mark.parametrize(
    ("place", "after"),
    [
        ("earliest", None),
        ("latest", [30, 30]),
        ("20", [20, 20]),
        ("1:25", [10, 25]),
        ("0:12,1:30", [12, 30]),
        ("2286-01-01T00:00:00Z", [30, 30]),
    ],
)
def test_every_way_to_name_a_place(tmp_path: Path, place: str, after: list[int] | None) -> None:
    send(tmp_path, range(20))
    run(tmp_path)
    send(tmp_path, range(20, 60))
    with seeking(APP.plan.jobs[0], settings(tmp_path), "pings", start_of(place)) as found:
        (move,) = found.moves
        assert move.after == (after or [10, 10]) and found.stays == (after is None)
        if not found.stays:
            found.commit()
    run(tmp_path)
    read = sum(30 - at for at in after or [10, 10])
    counted = rows(APP, tmp_path, "select read from conservation where kind = 'source'")
    assert counted == [{"read": 20 + read}]
    assert holds(APP, tmp_path)


@pytest.mark.parametrize("place", ["5", "0:5", "1970-01-01T00:00:00Z"])
def test_going_back_is_refused_with_the_way_to_do_it(tmp_path: Path, place: str) -> None:
    send(tmp_path, range(40))
    run(tmp_path)
    with pytest.raises(hr.StateRefused, match=f"twice\n.*headrace state reset APP --from {place}"):
        seek(tmp_path, place)
    assert holds(APP, tmp_path)


def test_a_topic_that_was_left_is_not_read_again(tmp_path: Path) -> None:
    send(tmp_path, range(20))
    run(tmp_path)
    here, aside = tmp_path / "topics" / "pings", tmp_path / "aside"
    shutil.move(here, aside)
    topic_of(tmp_path)
    seek(tmp_path, "latest")
    shutil.rmtree(here)
    shutil.move(aside, here)
    with pytest.raises(hr.TopicRefused, match="before and left it for another"):
        seek(tmp_path, "latest")


@pytest.mark.parametrize("text", ["earlyest", "-1", "0:1,0:2", "2026-01-01", "1:", "T", ""])
def test_a_place_that_means_nothing_names_the_choices(text: str) -> None:
    with pytest.raises(hr.UsageError, match="Choose earliest, latest, an offset"):
        start_of(text)


def test_offsets_that_are_not_there_are_refused(tmp_path: Path) -> None:
    send(tmp_path, range(20))
    run(tmp_path)
    with pytest.raises(
        hr.UsageError, match="partition 0: offset 99 is not there\nIt holds 0 to 10"
    ):
        seek(tmp_path, "99")
    with pytest.raises(hr.UsageError, match="no partition 7\nIt has the partitions 0 to 1"):
        seek(tmp_path, "7:1")


@pytest.mark.parametrize("point", ["state.before_commit:4", "state.committed:4"])
def test_killed_in_the_middle_it_is_done_or_not(tmp_path: Path, point: str) -> None:
    """Opening commits three times: notes, incarnation; the fourth commit is the move."""
    send(tmp_path, range(60))
    run(tmp_path)
    make_again(tmp_path)
    send(tmp_path, range(60))
    reached = False
    for nth in range(1, 8):
        done = subprocess.run(
            [sys.executable, "-c", _SEEK, str(tmp_path)],
            cwd=ROOT,
            env=os.environ | {VARIABLE: f"{point.split(':')[0]}:{nth}"},
            capture_output=True,
            text=True,
        )
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL, done.stderr
        reached = True
    assert reached
    seek(tmp_path, "earliest")
    run(tmp_path)
    assert holds(APP, tmp_path)
    assert total(tmp_path, "totals") == lake_rows(tmp_path) == 108


_SEEK = """
import sys
from pathlib import Path
from tests.proof.test_seeking import seek
seek(Path(sys.argv[1]), "earliest")
"""


def test_a_job_that_meets_a_topic_made_again_gives_away_what_it_has(tmp_path: Path) -> None:
    """What a running job has read and not delivered is in memory alone."""
    send(tmp_path, range(100))
    gone = "(?s)made again.*seek APP pings --from earliest|deleted while it was in use"
    with pytest.raises(hr.TopicRefused, match=gone), APP.start(data=tmp_path) as job:
        while not rows(APP, tmp_path, "select 1 from totals"):
            time.sleep(0.01)
        make_again(tmp_path)
        job.wait(60)
    send(tmp_path, range(50))
    seek(tmp_path, "earliest")
    run(tmp_path)
    assert holds(APP, tmp_path)
    assert lake_rows(tmp_path) == total(tmp_path, "totals") == 135


def test_a_reset_begins_where_it_is_told(tmp_path: Path) -> None:
    send(tmp_path, range(100))
    run(tmp_path)
    for place, expected in [("latest", 0), ("30", 36), ("0:40,1:45", 13), ("earliest", 90)]:
        _reset(tmp_path, place)
        run(tmp_path)
        assert holds(APP, tmp_path)
        assert total(tmp_path, "totals") == expected
        assert lake_rows(tmp_path) == 90
        assert len(rows(APP, tmp_path, "from topic.copy")) == 90


def test_a_reset_delivers_what_a_seek_left_out(tmp_path: Path) -> None:
    send(tmp_path, range(20))
    run(tmp_path)
    send(tmp_path, range(20, 60))
    seek(tmp_path, "20")
    run(tmp_path)
    assert lake_rows(tmp_path) == 36
    _reset(tmp_path, "earliest")
    run(tmp_path)
    assert holds(APP, tmp_path)
    assert lake_rows(tmp_path) == total(tmp_path, "totals") == 54


def test_a_reset_with_a_topic_made_again_delivers_all_of_it(tmp_path: Path) -> None:
    send(tmp_path, range(100))
    run(tmp_path)
    make_again(tmp_path)
    send(tmp_path, range(50))
    _reset(tmp_path)
    run(tmp_path)
    assert holds(APP, tmp_path)
    assert total(tmp_path, "totals") == 45 and lake_rows(tmp_path) == 135


def test_a_reset_delivers_what_a_crash_kept_back(tmp_path: Path) -> None:
    """The generation before had read it, and its lake's mark lies before it."""
    send(tmp_path, range(100))
    run(tmp_path)
    send(tmp_path, range(100, 140))
    code = "import sys; from pathlib import Path; from tests.proof.test_seeking import run; "
    done = subprocess.run(
        [sys.executable, "-c", code + "run(Path(sys.argv[1]))", str(tmp_path)],
        cwd=ROOT,
        env=os.environ | {VARIABLE: "lake.files.synced"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    _reset(tmp_path)
    run(tmp_path)
    assert holds(APP, tmp_path)
    assert lake_rows(tmp_path) == total(tmp_path, "totals") == 126


def test_resets_in_the_middle_deliver_nothing_twice(tmp_path: Path) -> None:
    """One partition is read further than an earlier generation had it, the other is not yet."""
    send(tmp_path, range(100))
    run(tmp_path)
    send(tmp_path, range(100, 140), partition=0)
    _reset(tmp_path, "0:50,1:0")
    with APP.start(data=tmp_path) as job:
        job.wait(0)
    run(tmp_path)
    for _ in range(2):
        _reset(tmp_path)
        run(tmp_path)
        assert holds(APP, tmp_path)
        assert lake_rows(tmp_path) == total(tmp_path, "totals") == 126


def _reset(data: Path, place: str | None = None) -> None:
    job, found = APP.plan.jobs[0], load_settings(overrides={"data": data})
    at = None if place is None else states.begins(job, found, start_of(place))
    states.reset(job.id, found, at)


def test_a_state_of_format_3_is_taken_on(tmp_path: Path) -> None:
    send(tmp_path, range(20))
    run(tmp_path)
    with duckdb.connect(str(tmp_path / "jobs" / "pings" / "job.duckdb")) as state:
        for sql in (
            "drop view meta.reads",
            "alter table meta.sources drop column number",
            "alter table meta.sources drop column since_epoch",
            "drop table meta.earlier",
            "drop table meta.delivered",
            "alter table meta.outbox add column position bigint",
            "alter table meta.outbox add column key blob",
            "update meta.facts set value = '3' where name = 'format'",
        ):
            state.execute(sql)
    send(tmp_path, range(20, 40))
    run(tmp_path)
    assert holds(APP, tmp_path)
    assert total(tmp_path, "totals") == 36


@pytest.mark.parametrize("noted", [True, False], ids=["the move is noted", "only what was before"])
def test_nothing_of_a_topic_made_again_counts_as_taken_before_it_is(
    tmp_path: Path, noted: bool
) -> None:
    [job] = APP.plan.jobs
    send(tmp_path, range(200))
    run(tmp_path)
    make_again(tmp_path)
    send(tmp_path, range(400))
    if noted:
        moved = seek(tmp_path, "earliest")
    else:
        # As if the destinations had been told later than the state.
        with JobRunner(job, settings(tmp_path), purpose="seek") as runner:
            move = move_of(runner.engine, "pings", start_of("earliest"))
            moved = commit_seek(runner.engine, [move], [], runner.clock.now_us())
    with JobRunner(job, settings(tmp_path)) as runner:
        marks = {d.name: runner.engine.ledger.mark(d.name) for d in runner.deliveries}
        assert all((mark == moved) is noted for mark in marks.values())
        # The lake takes what there is in ten seconds, so that nothing of this has landed there.
        committed = runner.engine.epoch(runner.clock.now_us(), 20, alongside=runner.note)
        assert committed is not None
        runner.handed_over(committed)
        runner._keep_house()
        read = runner.engine.readers["pings"].position.offsets
        assert sum(read) < 400
        taken = topic_of(tmp_path).readers()["pings"]
        assert all(at <= end for at, end in zip(taken, read, strict=True)), (taken, read)
    run(tmp_path)
    assert topic_of(tmp_path).readers()["pings"] == topic_of(tmp_path).end_offsets()
    assert holds(APP, tmp_path)
