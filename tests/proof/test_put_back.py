"""A topic that was put back to an older copy: found out, and the way that is named leads on."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

import headrace as hr
import headrace.testing
from headrace.engines.embedded.epochs import sources
from headrace.engines.embedded.epochs.folding import fold
from headrace.engines.embedded.epochs.seeking import move_of, start_of
from headrace.engines.embedded.runner import JobRunner
from headrace.ops.jobs.lakes import moved_aside
from headrace.ops.jobs.seeking import seeking
from headrace.ops.jobs.states import begins, reset
from headrace.storage.layout import DataDirectory
from headrace.storage.systems import Systems
from headrace.storage.topics.log import LocalTopic
from headrace.storage.ways import new_lakes, restore_or_reset
from headrace.testing import Driver
from headrace.values.errors import StateRefused, TopicRefused, Unreachable
from headrace.values.telemetry import SourceBack
from tests.views.cases import START, at

ANOTHER = r'Topic "things", partition 0: the record at offset \d is not the one'


class Thing(hr.Event):
    at: datetime
    n: int


def app_of(*roles: str) -> hr.App:
    app = hr.App("put_back")
    things = app.source(Thing, topic="things", time="at", partitions=1)
    app.table("totals", things.agg(c="count(*)", total="sum(n)"))
    app.table("windows", things.tumble("10 seconds").agg(c="count(*)", total="sum(n)"))
    if "lake" in roles:
        app.lake("everything", things)
    if "topic" in roles:
        app.topic("copied", things)
    return app


def record(n: int) -> bytes:
    return json.dumps({"at": f"{at(n % 10).isoformat()}Z", "n": n}).encode()


def send(t: Driver, numbers: Sequence[int]) -> None:
    t.send("things", map(record, numbers), partition=0)
    t.epoch()


def numbers(t: Driver, name: str) -> list[int]:
    """What a lake or topic has, in order."""
    return sorted(row["value"]["n"] if "value" in row else row["n"] for row in t.rows(name))


def put_back(t: Driver, tmp_path: Path, lost: Sequence[int], others: Sequence[int]) -> None:
    """The topic is copied, `lost` is read, the copy put back and given `others`; all is closed."""
    t.close()
    topic = t._settings.data / "topics/things"
    shutil.copytree(topic, tmp_path / "older")
    t.open()
    send(t, lost)
    assert t.rows("totals")
    t.close()
    restored(topic, tmp_path / "older", others)


def restored(topic: Path, older: Path, others: Sequence[int]) -> LocalTopic:
    """The copy in the place of `topic`, with `others` behind what it has."""
    shutil.rmtree(topic)
    shutil.copytree(older, topic)
    put = LocalTopic.open(topic.parent, topic.name)
    put.append(pa.array(map(record, others), pa.binary()))
    return put


@pytest.mark.parametrize("others", [[7], [7, 8, 9], [7, 8, 9, 10, 11]])
def test_others_in_the_places_of_what_was_read(others: list[int], tmp_path: Path) -> None:
    with headrace.testing.run(app_of("lake"), start=START) as t:
        send(t, [1, 2])
        put_back(t, tmp_path, [3, 4, 5], others)
        with pytest.raises(TopicRefused) as told:
            t.open()
        assert told.value.remedy == restore_or_reset()
        reset("put_back", t._settings)
        with pytest.raises(StateRefused, match="lake everything has the record of") as told_again:
            t.open()
        assert told_again.value.remedy == new_lakes()
        data = DataDirectory(t._settings.data)
        assert list(moved_aside(data, "put_back", ["everything"])) == ["everything"]
        reset("put_back", t._settings)
        t.open()
        there = [1, 2, *others]
        assert t.rows("totals") == [{"c": len(there), "total": sum(there)}]
        assert numbers(t, "everything") == there
        t.verify()
        t.recompute()
        t.verify()
        [former] = (t._settings.data / "former-lakes").iterdir()
        assert former.name == "everything.1" and (former / "_delta_log").is_dir()
        send(t, [20])
        t.restart()
        assert len(t.rows("everything")) == len(there) + 1
        t.verify()


def test_the_same_in_their_places(tmp_path: Path) -> None:
    """A producer that gives again what was lost, in its order, changes nothing."""
    with headrace.testing.run(app_of("lake", "topic"), start=START) as t:
        send(t, [1, 2])
        put_back(t, tmp_path, [3, 4, 5], [3, 4, 5, 6])
        t.open()
        assert t.rows("totals") == [{"c": 6, "total": 21}]
        assert numbers(t, "everything") == [1, 2, 3, 4, 5, 6]
        assert numbers(t, "copied") == [1, 2, 3, 4, 5, 6]
        t.verify()


def test_a_topic_that_has_what_its_source_lost(tmp_path: Path) -> None:
    with headrace.testing.run(app_of("topic"), start=START) as t:
        send(t, [1, 2])
        put_back(t, tmp_path, [3, 4, 5], [7, 8, 9])
        with pytest.raises(TopicRefused, match=ANOTHER):
            t.open()
        reset("put_back", t._settings)
        with pytest.raises(StateRefused, match="offset 2, and that is not there") as told:
            t.open()
        assert 'delete topic "copied": the job makes it again' in str(told.value.remedy)
        shutil.rmtree(t._settings.data / "topics/copied")
        t.open()
        assert numbers(t, "copied") == [1, 2, 7, 8, 9]
        t.verify()


def test_a_topic_that_has_more_than_was_read_again(tmp_path: Path) -> None:
    """What this generation gave to it is noted: without a reset it would be taken for lost."""
    with headrace.testing.run(app_of("topic"), start=START) as t:
        send(t, [1, 2])
        put_back(t, tmp_path, [3, 4, 5], [3, 4, 5])
        t.open()
        assert numbers(t, "copied") == [1, 2, 3, 4, 5]
        t.close()
        reset("put_back", t._settings)
        t.open()
        t.epoch(records_max=2)
        t.close()
        restored(t._settings.data / "topics/things", tmp_path / "older", [7])
        with pytest.raises(StateRefused, match="offset 4, and that is not there") as told:
            t.open()
        assert "headrace state reset APP" in str(told.value.remedy)
        shutil.rmtree(t._settings.data / "topics/copied")
        reset("put_back", t._settings)
        t.open()
        assert numbers(t, "copied") == [1, 2, 7]
        t.verify()


@pytest.mark.parametrize("others", [[7], [7, 8, 9]])
def test_nobody_reads_on_behind_it(others: list[int], tmp_path: Path) -> None:
    with headrace.testing.run(app_of(), start=START) as t:
        send(t, [1, 2])
        [runner] = t.runners.values()
        put_back(t, tmp_path, [3, 4], others)
        with (
            pytest.raises(TopicRefused, match=ANOTHER),
            JobRunner(runner.job, t._settings, clock=t.clock, purpose="seek") as moving,
        ):
            move_of(moving.engine, "things", start_of("latest"))


def moved_to_the_end(t: Driver, way: str) -> None:
    [job] = t.plan.jobs
    if way == "seek":
        with seeking(job, t._settings, None, start_of("latest")) as found:
            found.commit()
    else:
        reset(job.id, t._settings, begins(job, t._settings, start_of("latest")))


@pytest.mark.parametrize("way", ["seek", "reset"])
@pytest.mark.parametrize(
    ("skipped", "others", "another"),
    [
        ([2, 3, 4, 5, 6], [2, 3, 4, 5, 7, 8], True),
        ([2, 3, 4, 5, 6], [2, 7, 4, 5, 6, 8], True),
        ([2, 3, 4, 5, 6], [2, 3, 4, 5, 6, 8], False),
        ([2], [7, 8], True),
        ([2], [2, 8], False),
    ],
)
def test_what_was_skipped_is_known_too(
    way: str, skipped: list[int], others: list[int], another: bool, tmp_path: Path
) -> None:
    """Nothing was read of it, but what comes next stands behind it."""
    with headrace.testing.run(app_of(), start=START) as t:
        send(t, [1])
        topic = t._settings.data / "topics/things"
        t.close()
        shutil.copytree(topic, tmp_path / "older")
        LocalTopic.open(topic.parent, topic.name).append(
            pa.array(map(record, skipped), pa.binary())
        )
        moved_to_the_end(t, way)
        restored(topic, tmp_path / "older", others)
        if another:
            with pytest.raises(TopicRefused, match=ANOTHER):
                t.open()
        else:
            t.open()
            # Of windows and counts: what a seek leaves, and a reset does not.
            read = [1, 8] if way == "seek" else [8]
            assert t.rows("totals") == [{"c": len(read), "total": sum(read)}]


def test_what_was_read_before_a_short_way_is_known_still(tmp_path: Path) -> None:
    with headrace.testing.run(app_of(), start=START) as t:
        topic = t._settings.data / "topics/things"
        shutil.copytree(topic, tmp_path / "older")
        send(t, [1, 2])
        t.close()
        LocalTopic.open(topic.parent, topic.name).append(pa.array([record(3)]))
        moved_to_the_end(t, "seek")
        restored(topic, tmp_path / "older", [9, 2, 3, 4])
        with pytest.raises(TopicRefused, match="the record at offset 0 is not the one"):
            t.open()


def test_joined_epochs_know_it_too(tmp_path: Path) -> None:
    with headrace.testing.run(app_of("lake"), start=START) as t:
        for number in range(1, 4):
            send(t, [number])
        t.rows("everything")
        [runner] = t.runners.values()
        noted = "select * from meta.epochs where tails is not null"
        assert len(runner.store.rows(noted)) == 3
        with runner.store.transaction():
            # None is joined: the last one's is enough all the same.
            fold(runner.store, runner.engine.ledger.epoch, records_max=1)
        assert len(runner.store.rows(noted)) == 1
        runner.fold()
        assert len(runner.store.rows(noted)) == 1
        put_back(t, tmp_path, [], [])
        t.open()
        put_back(t, tmp_path / "again", [4], [7])
        with pytest.raises(TopicRefused, match=ANOTHER):
            t.open()


class Broken:
    """A topic in a system that goes away once, and answers again as it was put back meanwhile."""

    def __init__(self, topic: LocalTopic, others: Sequence[int], older: Path) -> None:
        self._topic, self._others, self._older = topic, others, older
        self.goes = False

    def __getattr__(self, name: str) -> object:
        return getattr(self._topic, name)

    def end_offsets(self) -> list[int]:
        if self.goes:
            self.goes = False
            self._topic = restored(self._topic.path, self._older, self._others)
            raise Unreachable("the broker is away")
        return self._topic.end_offsets()


def test_it_is_put_back_while_its_system_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, made = Systems.topic, list[Broken]()

    def broken(*given: object) -> Broken:
        made.append(Broken(opened(*given), [7, 8, 9, 10], tmp_path / "older"))  # type: ignore[arg-type]
        return made[-1]

    monkeypatch.setattr(Systems, "topic", broken)
    with headrace.testing.run(app_of(), start=START) as t:
        send(t, [1, 2])
        shutil.copytree(t._settings.data / "topics/things", tmp_path / "older")
        send(t, [3, 4])
        [runner] = t.runners.values()
        made[-1].goes = True
        with pytest.raises(TopicRefused, match=ANOTHER):
            runner.run()
        assert runner.engine.readers["things"].position.offsets == [4]


def test_what_was_read_ahead_before_is_not_taken_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was read of it still stands there: the job reads on, and reads what follows now."""
    opened, made = Systems.topic, list[Broken]()

    def broken(*given: object) -> Broken:
        made.append(Broken(opened(*given), [7, 8, 9], tmp_path / "older"))  # type: ignore[arg-type]
        return made[-1]

    monkeypatch.setattr(Systems, "topic", broken)
    monkeypatch.setattr(sources, "_AHEAD_RECORDS", 0)
    with headrace.testing.run(app_of("lake"), start=START) as t:
        send(t, [1])
        t.send("things", map(record, [2, 3]), partition=0)
        shutil.copytree(t._settings.data / "topics/things", tmp_path / "older")
        t.send("things", map(record, [4, 5, 6]), partition=0)
        t.epoch(records_max=3)
        [runner] = t.runners.values()
        assert runner.engine.readers["things"].position.offsets == [3]
        made[-1].goes, back = True, threading.Event()
        runner.tell = lambda event: back.set() if isinstance(event, SourceBack) else None
        runner.run(stop=back)
        assert numbers(t, "everything") == [1, 2, 3, 7, 8, 9]
        t.restart()
        t.verify()


def test_it_is_shorter_while_a_job_waits_for_more(tmp_path: Path) -> None:
    with headrace.testing.run(app_of(), start=START) as t:
        send(t, [1, 2])
        topic = t._settings.data / "topics/things"
        shutil.copytree(topic, tmp_path / "older")
        send(t, [3, 4])
        restored(topic, tmp_path / "older", [7])
        [runner] = t.runners.values()
        with pytest.raises(TopicRefused, match="ends at offset 3 of partition 0") as told:
            runner.run()
        assert told.value.remedy == restore_or_reset()


def test_what_retention_took_is_no_difference(tmp_path: Path) -> None:
    with headrace.testing.run(app_of("lake"), start=START) as t:
        send(t, [1, 2, 3])
        assert numbers(t, "everything") == [1, 2, 3]
        t.restart()
        topic = LocalTopic.open(t._settings.data / "topics", "things")
        topic.retain(age_us=0, now_us=2**60)
        assert topic.begin_offsets() == topic.end_offsets() == [3]
        t.restart()
        t.close()
        reset("put_back", t._settings)
        t.open()
        send(t, [4])
        assert numbers(t, "everything") == [1, 2, 3, 4]


def test_a_lake_has_more_of_earlier_generations_than_was_read_again(tmp_path: Path) -> None:
    """What stands in places that this generation has not come to is looked at too."""
    with headrace.testing.run(app_of("lake"), start=START) as t:
        send(t, [1, 2, 3])
        put_back(t, tmp_path, [4, 5, 6], [4, 5, 6])
        t.open()
        assert numbers(t, "everything") == [1, 2, 3, 4, 5, 6]
        t.close()
        reset("put_back", t._settings)
        t.open()
        t.epoch(records_max=2)
        t.close()
        topic = t._settings.data / "topics/things"
        restored(topic, tmp_path / "older", [4, 5, 7, 8])
        with pytest.raises(StateRefused, match="partition 0, offset 5, and that is not there"):
            t.open()
        restored(topic, tmp_path / "older", [4])
        with pytest.raises(StateRefused, match="partition 0, offset 5, and that is not there"):
            t.open()
        restored(topic, tmp_path / "older", [4, 5, 6, 7])
        t.open()
        assert numbers(t, "everything") == [1, 2, 3, 4, 5, 6, 7]
        t.verify()


def test_a_state_that_knows_no_tails_goes_on(tmp_path: Path) -> None:
    """As those of earlier versions: what is read from now on is known."""
    with headrace.testing.run(app_of("lake"), start=START) as t:
        send(t, [1, 2])
        t.close()
        with duckdb.connect(str(t._settings.data / "jobs/put_back/job.duckdb")) as state:
            state.execute("update meta.epochs set tails = null")
        t.open()
        put_back(t, tmp_path, [], [])
        t.open()
        put_back(t, tmp_path / "again", [3, 4], [7, 8])
        with pytest.raises(TopicRefused, match=ANOTHER):
            t.open()


def test_a_topic_made_again_after_the_state_was_lost_is_given_whole(tmp_path: Path) -> None:
    """What its destinations have is of another topic, though its offsets are the same."""
    with headrace.testing.run(app_of("lake", "topic"), start=START) as t:
        send(t, [1, 2, 3])
        for name in ("everything", "copied"):
            assert numbers(t, name) == [1, 2, 3]
        t.close()
        for lost in ("jobs/put_back", "topics/things"):
            shutil.rmtree(t._settings.data / lost)
        with pytest.raises(StateRefused, match="was lost, or never there"):
            t.open()
        t.close()
        reset("put_back", t._settings)
        t.open()
        send(t, [4, 5, 6, 7])
        assert t.rows("totals") == [{"c": 4, "total": 22}]
        for name in ("everything", "copied"):
            assert numbers(t, name) == [1, 2, 3, 4, 5, 6, 7]
        t.restart()
        send(t, [8])
        for name in ("everything", "copied"):
            assert numbers(t, name) == [1, 2, 3, 4, 5, 6, 7, 8]
        t.verify()
