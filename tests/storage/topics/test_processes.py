"""Several processes at one topic, and processes killed at any moment."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

from headrace.storage.topics.log import LocalTopic
from tests.storage.topics.model import Record, listed, read_all, segment_files

APPENDER = Path(__file__).with_name("appender.py")


def start(directory: Path, producer: str, count: int, seed: int) -> subprocess.Popen[str]:
    command = [sys.executable, str(APPENDER), str(directory), producer, str(count), str(seed)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def check_complete(records: list[Record], producer: str, count: int) -> None:
    """Each row of the producer once, in order inside each partition, in the partition it fits."""
    found = [(r[0], int(r[3].split(b"-")[1])) for r in records if r[3] and name(r) == producer]
    assert sorted(number for _, number in found) == list(range(count))
    for partition in range(3):
        numbers = [number for place, number in found if place == partition]
        assert numbers == list(range(partition, count, 3))


def name(record: Record) -> str:
    assert record[3] is not None
    return record[3].split(b"-")[0].decode()


def test_two_processes_append_while_a_third_reads(tmp_path: Path) -> None:
    reader, count = LocalTopic.create(tmp_path, "t", 3), 1500
    processes = [start(tmp_path, producer, count, seed=1) for producer in ("a", "b")]
    offsets, records = [0, 0, 0], []
    while len(records) < 2 * count:
        assert reader.wait(offsets, 30)
        for record in read_from(reader, offsets):
            assert record[1] == offsets[record[0]], "a hole, or out of order"
            offsets[record[0]] += 1
            records.append(record)
    assert [process.wait(30) for process in processes] == [0, 0]
    for producer in ("a", "b"):
        check_complete(records, producer, count)
    assert sorted(read_all(reader)) == sorted(records)
    assert len(segment_files(reader.path)) > 3


def read_from(reader: LocalTopic, offsets: list[int]) -> list[Record]:
    return listed(reader.read(offsets, records_max=500))


def test_a_producer_killed_again_and_again_appends_each_row_once(tmp_path: Path) -> None:
    count, random_ = 3000, random.Random(7)
    LocalTopic.create(tmp_path, "t", 3)
    for seed in range(12):
        process = start(tmp_path, "p", count, seed)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(random_.uniform(0, 0.05))
        process.kill()
        said = process.stdout.read().split()
        process.wait()
        # What was acknowledged is there, whoever looks, at once.
        reader = LocalTopic.open(tmp_path, "t")
        state = reader.producer("p")
        acknowledged = max((int(line) for line in said), default=0)
        there = 0 if state is None else state.sequence + 1
        assert there >= acknowledged and len(read_all(reader)) == there
        if state is not None:
            assert state.note == {"until": there}
        if there == count:
            break
    process = start(tmp_path, "p", count, seed=99)
    assert process.communicate(timeout=60) is not None and process.returncode == 0
    check_complete(read_all(LocalTopic.open(tmp_path, "t")), "p", count)


def test_a_reader_that_is_open_goes_on_over_a_kill(tmp_path: Path) -> None:
    reader, count, offsets, records = LocalTopic.create(tmp_path, "t", 3), 2000, [0, 0, 0], []
    process = start(tmp_path, "p", count, seed=0)
    kills = 0
    while len(records) < count:
        if reader.wait(offsets, 0.5):
            for record in read_from(reader, offsets):
                assert record[1] == offsets[record[0]], "a hole, or out of order"
                offsets[record[0]] += 1
                records.append(record)
        if kills < 4 and len(records) > (kills + 1) * 350:
            process.kill()
            process.wait()
            kills += 1
            process = start(tmp_path, "p", count, seed=kills)
    assert process.wait(30) == 0 and kills == 4
    check_complete(records, "p", count)
