"""One writer at a time: whoever came last delivers, the others stop in words."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from headrace.storage.lake.lake import DeltaLake
from headrace.storage.lake.reading import read_mark
from headrace.values.errors import HeadraceError, StateRefused
from tests.storage.lake.lakes import JOB, event, events, lake, mark, ordered, rows


def test_a_newer_incarnation_fences_the_older(tmp_path: Path) -> None:
    old, new = lake(tmp_path / "lake"), lake(tmp_path / "lake")
    old.open(JOB, 1)
    old.deliver(events(0, 10), mark(1))
    assert new.open(JOB, 2) == mark(1)
    with pytest.raises(StateRefused, match="taken over.*start number 2.*this one is number 1"):
        old.deliver(events(10, 10), mark(2))
    new.deliver(events(10, 10), mark(2))
    assert rows(new.directory) == ordered([event(n) for n in range(20)])


def test_an_older_incarnation_is_refused_at_the_door(tmp_path: Path) -> None:
    lake(tmp_path / "lake").open(JOB, 5)
    with pytest.raises(StateRefused, match="start number 5"):
        lake(tmp_path / "lake").open(JOB, 4)
    assert lake(tmp_path / "lake").open(JOB, 5) is None


def test_the_same_incarnation_twice_is_noticed(tmp_path: Path) -> None:
    left, right = lake(tmp_path / "lake"), lake(tmp_path / "lake")
    left.open(JOB, 1)
    right.open(JOB, 1)
    left.deliver(events(0, 10), mark(3))
    with pytest.raises(StateRefused, match="another process with the same state"):
        right.deliver(events(0, 10), mark(2))
    assert read_mark(left.directory, JOB) == mark(3)


def test_the_same_epoch_of_other_records_is_not_taken_for_ones_own(tmp_path: Path) -> None:
    left, right = lake(tmp_path / "lake"), lake(tmp_path / "lake")
    left.open(JOB, 1)
    right.open(JOB, 1)
    left.deliver(events(0, 10), mark(1))
    assert right.deliver(events(0, 10), mark(1)) == 10, "that very delivery is there"
    left.deliver(events(10, 10), mark(2))
    with pytest.raises(StateRefused, match="another process with the same state"):
        right.deliver(events(10, 5), replace(mark(2), offsets={"user_activity": [7, 7, 0]}))
    assert rows(left.directory) == ordered([event(n) for n in range(20)])


def test_a_rival_between_look_and_commit_makes_the_commit_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = lake(tmp_path / "lake")
    old.open(JOB, 1)

    def rival(name: str) -> None:
        if name == "lake.files.synced":
            monkeypatch.undo()
            new = lake(tmp_path / "lake")
            new.open(JOB, 2)
            new.deliver(events(0, 5), mark(1))

    monkeypatch.setattr("headrace.storage.lake.lake.reach", rival)
    with pytest.raises(StateRefused, match="taken over"):
        old.deliver(events(0, 10), mark(1))
    assert rows(old.directory) == ordered([event(n) for n in range(5)])


def test_writers_that_race_leave_each_epoch_once(tmp_path: Path) -> None:
    writers: list[DeltaLake] = [lake(tmp_path / "lake") for _ in range(3)]
    outcomes: list[object] = []

    def run(writer: DeltaLake, incarnation: int) -> None:
        try:
            last = writer.open(JOB, incarnation)
            for epoch in range(1 if last is None else last.epoch + 1, 13):
                writer.deliver(events((epoch - 1) * 10, 10), mark(epoch))
            outcomes.append("done")
        except HeadraceError as error:
            outcomes.append(error)

    threads = [threading.Thread(target=run, args=(w, n)) for n, w in enumerate(writers, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count("done") >= 1, outcomes
    assert rows(tmp_path / "lake") == ordered([event(n) for n in range(120)])
