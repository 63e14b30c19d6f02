"""A job's output in a local topic: once, in order, from one writer."""

from __future__ import annotations

import shutil
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from headrace.storage.outbound.topic_writer import TopicWriter
from headrace.storage.topics.log import LocalTopic
from headrace.values.errors import HeadraceError, StateRefused, TopicRefused
from tests.storage.deliverer import run
from tests.storage.lake.lakes import JOB, mark
from tests.storage.outbound.records import everything, record, records


def writer(directory: Path, output: str = "out") -> TopicWriter:
    return TopicWriter(LocalTopic.ensure(directory, "out", 3), output)


def wanted(count: int) -> list[object]:
    return sorted((record(n) for n in range(count)), key=repr)


def test_records_and_mark_land_together(tmp_path: Path) -> None:
    target = writer(tmp_path)
    assert target.open(JOB, 1) is None
    assert target.deliver(records(0, 50), mark(1)) == 50
    assert target.deliver(records(50, 0), mark(2)) == 0
    assert target.deliver(records(50, 50), mark(5)) == 50
    target.close()
    assert everything(target.topic) == wanted(100)
    assert writer(tmp_path).open(JOB, 2) == mark(5)


def test_a_delivery_again_adds_nothing(tmp_path: Path) -> None:
    target = writer(tmp_path)
    target.open(JOB, 1)
    target.deliver(records(0, 10), mark(3))
    for epoch in (3, 1):
        assert target.deliver(records(0, 10), mark(epoch)) == 10
    again = writer(tmp_path)
    assert again.open(JOB, 2) == mark(3)
    assert again.deliver(records(0, 10), mark(3)) == 10
    again.deliver(records(10, 10), mark(1, generation=2))
    assert again.deliver(records(10, 10), mark(9)) == 10
    assert everything(target.topic) == wanted(20)


def test_a_newer_incarnation_fences_the_older(tmp_path: Path) -> None:
    old, new = writer(tmp_path), writer(tmp_path)
    old.open(JOB, 1)
    old.deliver(records(0, 10), mark(1))
    assert new.open(JOB, 2) == mark(1)
    with pytest.raises(StateRefused, match="taken over.*start number 2.*this one is number 1"):
        old.deliver(records(10, 10), mark(2))
    new.deliver(records(10, 10), mark(2))
    with pytest.raises(StateRefused, match="start number 2"):
        writer(tmp_path).open(JOB, 1)
    assert everything(new.topic) == wanted(20)


def test_the_same_incarnation_twice_is_noticed(tmp_path: Path) -> None:
    left, right = writer(tmp_path), writer(tmp_path)
    left.open(JOB, 1)
    right.open(JOB, 1)
    left.deliver(records(0, 10), mark(3))
    with pytest.raises(StateRefused, match="another process with the same state"):
        right.deliver(records(0, 10), mark(2))
    assert everything(left.topic) == wanted(10)


def test_the_same_epoch_of_other_records_is_not_taken_for_ones_own(tmp_path: Path) -> None:
    left, right = writer(tmp_path), writer(tmp_path)
    left.open(JOB, 1)
    right.open(JOB, 1)
    left.deliver(records(0, 10), mark(1))
    assert right.deliver(records(0, 10), mark(1)) == 10, "that very delivery is there"
    left.deliver(records(10, 10), mark(2))
    with pytest.raises(StateRefused, match="another process with the same state"):
        right.deliver(records(10, 5), replace(mark(2), offsets={"user_activity": [7, 7, 0]}))
    assert everything(left.topic) == wanted(20)


def test_a_topic_made_again_under_a_writer_is_filled_anew(tmp_path: Path) -> None:
    one = writer(tmp_path)
    one.open(JOB, 1)
    one.deliver(records(0, 10), mark(1))
    shutil.rmtree(one.topic.path)
    again = LocalTopic.create(tmp_path, one.topic.name, one.topic.partitions)
    with pytest.raises(TopicRefused, match="deleted and made again.*\n.*state reset APP") as told:
        one.deliver(records(10, 10), mark(2))
    assert "state seek" not in str(told.value), "that is for topics that a job reads"
    assert everything(again) == []


def test_outputs_and_jobs_do_not_disturb_each_other(tmp_path: Path) -> None:
    one, two, other = writer(tmp_path), writer(tmp_path, "more"), writer(tmp_path)
    one.open(JOB, 4)
    two.open(JOB, 1)
    other.open("other", 1)
    one.deliver(records(0, 10), mark(7))
    two.deliver(records(10, 10), mark(1))
    other.deliver(records(20, 10), mark(2, job="other"))
    assert everything(one.topic) == wanted(30)
    with pytest.raises(StateRefused, match='opened by "activity"'):
        one.deliver(records(0, 1), mark(8, job="other"))


def test_writers_that_race_leave_each_epoch_once(tmp_path: Path) -> None:
    writers = [writer(tmp_path) for _ in range(3)]
    outcomes: list[object] = []

    def deliver_all(target: TopicWriter, incarnation: int) -> None:
        try:
            last = target.open(JOB, incarnation)
            for epoch in range(1 if last is None else last.epoch + 1, 31):
                target.deliver(records((epoch - 1) * 10, 10), mark(epoch))
            outcomes.append("done")
        except HeadraceError as error:
            outcomes.append(error)

    threads = [threading.Thread(target=deliver_all, args=(w, n)) for n, w in enumerate(writers, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert "done" in outcomes, outcomes
    assert everything(writers[0].topic) == wanted(300)


@pytest.mark.parametrize("point", ["topic.fenced", "topic.appended", "topic.appended:3"])
def test_a_killed_writer_goes_on(tmp_path: Path, point: str) -> None:
    code, lines = run("topic", tmp_path, 1, 6, kill_at=point)
    assert code == -9
    taken = int(lines[-1].split()[1]) if lines else 0
    code, lines = run("topic", tmp_path, 2, 6)
    assert code == 0 and int(lines[0].split()[1]) in (taken, taken + 1)
    assert everything(LocalTopic.open(tmp_path, "out")) == wanted(60)
