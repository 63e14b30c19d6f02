"""Files and log stay few by themselves, nothing alive is lost, readers have their grace."""

from __future__ import annotations

import os
import time
from pathlib import Path

import duckdb
import pytest
from deltalake import DeltaTable

from headrace.storage.lake import compaction
from headrace.storage.lake.cleanup import checkpoint, remove_dead_files, remove_old_log
from headrace.storage.lake.compaction import FILES_MIN
from headrace.storage.lake.files import DataFile
from headrace.storage.lake.lake import DeltaLake
from headrace.storage.lake.reading import live_files, read_mark, relation_sql
from tests.storage.lake.lakes import (
    EVENT,
    JOB,
    data_files,
    delta_rows,
    event,
    events,
    lake,
    log_files,
    mark,
    ordered,
    rows,
)


def test_hundreds_of_tiny_deliveries(tmp_path: Path) -> None:
    target = lake(tmp_path / "lake", grace_seconds=0)
    target.open(JOB, 1)
    for epoch in range(1, 401):
        target.deliver(events(epoch * 2, 2), mark(epoch))
    wanted = ordered([event(n) for n in range(2, 802)])
    assert rows(target.directory) == delta_rows(target.directory) == wanted
    assert len(live_files(target.directory)) < 60
    assert len(data_files(target.directory)) < 200
    assert len(log_files(target.directory)) < 200
    again = lake(tmp_path / "lake")
    assert again.open(JOB, 2) == mark(400)


def test_a_reader_has_its_grace(tmp_path: Path) -> None:
    target = lake(tmp_path / "lake", grace_seconds=3600)
    target.open(JOB, 1)
    for epoch in range(1, 8):
        target.deliver(events(epoch * 2, 2), mark(epoch))
    query = relation_sql(target.directory)
    for epoch in range(8, 120):
        target.deliver(events(epoch * 2, 2), mark(epoch))
    assert len(live_files(target.directory)) < 40
    with duckdb.connect() as connection:
        assert len(connection.sql(query).fetchall()) == 14


def test_the_mark_outlives_clean_up_and_foreign_commits(tmp_path: Path) -> None:
    target = lake(tmp_path / "lake", grace_seconds=0)
    target.open(JOB, 1)
    target.deliver(events(0, 2), mark(1))
    table = DeltaTable(str(target.directory))
    for number in range(3):
        table.alter.set_table_properties({"delta.appendOnly": str(number % 2 == 0).lower()})
    checkpoint(target.directory, table)
    remove_old_log(target.directory, 1, 0)
    assert read_mark(target.directory, JOB) == mark(1)
    assert lake(target.directory).open(JOB, 2) == mark(1)


def test_orphans_go_after_the_grace_and_live_files_never(tmp_path: Path) -> None:
    target = lake(tmp_path / "lake", grace_seconds=100)
    target.open(JOB, 1)
    target.deliver(events(0, 5), mark(1))
    alive = live_files(target.directory)
    orphan = alive[0].with_name("headrace-1-2-orphan.parquet")
    orphan.write_bytes(alive[0].read_bytes())
    table = DeltaTable(str(target.directory))
    assert remove_dead_files(target.directory, table) == 0
    long_ago = time.time() - 200
    for path in [orphan, *alive]:
        os.utime(path, (long_ago, long_ago))
    assert remove_dead_files(target.directory, table) == 1
    assert not orphan.exists() and live_files(target.directory) == alive
    assert len(rows(target.directory)) == 5


def test_an_older_version_within_the_grace_outlives_log_clean_up(tmp_path: Path) -> None:
    target = lake(tmp_path / "lake", grace_seconds=3600)
    target.open(JOB, 1)
    for epoch in range(1, 130):
        target.deliver(events(epoch * 2, 2), mark(epoch))
    for version in (5, 49, 77, 101):
        assert live_files(target.directory, version)


def test_upkeep_that_is_hurried_leaves_everything_as_it_was(tmp_path: Path) -> None:
    """Wherever it gives way; once nobody is in a hurry, what was due is done."""
    target = DeltaLake(tmp_path / "lake", EVENT)
    target.open(JOB, 1)
    for epoch in range(1, FILES_MIN + 1):
        target.deliver(events(epoch * 2, 2), mark(epoch))
    before = data_files(target.directory), log_files(target.directory)
    assert len(before[0]) == FILES_MIN
    times, asked = 0, 0

    def hurried() -> bool:
        nonlocal asked
        asked += 1
        return asked > times

    while len(live_files(target.directory)) == FILES_MIN:
        assert (data_files(target.directory), log_files(target.directory)) == before
        times, asked = times + 1, 0
        target.tidy(hurried)
    # Each file is looked at, then read.
    assert times > 2 * FILES_MIN - 1
    assert len(live_files(target.directory)) == 1
    wanted = ordered([event(n) for n in range(2, 2 * FILES_MIN + 2)])
    assert rows(target.directory) == delta_rows(target.directory) == wanted
    target.deliver(events(100, 2), mark(100))
    assert len(rows(target.directory)) == 2 * FILES_MIN + 2


def test_a_delivery_waits_for_no_upkeep(tmp_path: Path) -> None:
    target = DeltaLake(tmp_path / "lake", EVENT)
    target.open(JOB, 1)
    for epoch in range(1, 120):
        target.deliver(events(epoch * 2, 2), mark(epoch))
    assert len(live_files(target.directory)) == 119
    assert not list((target.directory / "_delta_log").glob("*.checkpoint.parquet"))


def file(rows: int, modified_ms: int, partition: str = "p") -> DataFile:
    return DataFile(
        f"{rows}-{modified_ms}-{partition}", rows * 20, rows, modified_ms, (("d", partition),)
    )


def test_what_is_compacted(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 10_000_000_000
    tiny = [file(10, now + n) for n in range(8)]
    big = [file(2_000_000, now + n) for n in range(20)]
    assert compaction.choose(tiny[:7], now) == []
    assert compaction.choose(big, now) == []
    assert compaction.choose(tiny + big, now) == [tiny]
    assert compaction.choose([file(8**n, now) for n in range(6)] * 2, now) == []
    others = [file(10, now, "q") for _ in range(7)]
    assert compaction.choose(tiny + others, now) == [tiny]
    quiet = [file(8**n, now - 4_000_000) for n in range(5)]
    assert compaction.choose(quiet, now) == [quiet]
    assert compaction.choose(quiet[:3], now) == []
    halves = [file(300_000, now + n) for n in range(8)]
    assert compaction.choose(halves, now) == [halves[:3]]
    many = [file(100_000, now + n, str(p)) for p in range(9) for n in range(8)]
    assert len(compaction.choose(many, now)) == 2


def test_drafts_of_killed_writers_go_too(tmp_path: Path) -> None:
    target = lake(tmp_path / "lake", grace_seconds=0)
    target.open(JOB, 1)
    (target.directory / "_delta_log" / f"{7:020}.json#1").write_text("{")
    (target.directory / "_delta_log" / "_commit_x.json").write_text("{")
    for epoch in range(1, 120):
        target.deliver(events(epoch * 2, 2), mark(epoch))
    assert not any("#" in name for name in log_files(target.directory))
    assert len(rows(target.directory)) == 238
