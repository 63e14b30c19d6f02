"""Watermarks where it is enough to know who was late: the same verdicts as those of plain loops."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.engines.batch.relations import Relations
from headrace.engines.batch.watermarks import (
    latecomers,
    open_blocks,
    watermarked,
    with_latecomers,
)

START = datetime(2026, 1, 1)
SOURCE: Any = SimpleNamespace(
    lateness_us=3_000_000, schema=SimpleNamespace(fields=[SimpleNamespace(name="n")])
)


@dataclass
class Row:
    partition: int
    offset: int
    epoch: int
    replay: int | None
    second: int


# Steps of time from record to record: mostly onwards, now and then far back.
STEPS = st.lists(
    st.tuples(st.integers(0, 1), st.sampled_from([0, 1, 1, 2, -1, -2, -9]), st.booleans()),
    max_size=60,
)


def rows_of(steps: list[tuple[int, int, bool]], replayed: list[int]) -> list[Row]:
    rows, ends, times, epoch = [], [0, 0], [0, 0], 1
    for partition, step, ends_epoch in steps:
        second = times[partition] + step
        times[partition] = max(times[partition], second)
        rows.append(Row(partition, ends[partition], epoch, None, second))
        ends[partition] += 1
        epoch += ends_epoch
    return rows + [
        Row(r.partition, r.offset, epoch, 1, r.second)
        for r in (rows[i % len(rows)] for i in replayed if rows)
    ]


def plainly(rows: list[Row], starts: dict[int, int]) -> dict[tuple[int, int, int], int | None]:
    """What each first reading saw closed, in seconds; None: nothing."""
    found: dict[tuple[int, int, int], int | None] = {}
    greatest: dict[int, int] = {}
    for row in sorted((r for r in rows if r.replay is None), key=lambda r: (r.epoch, r.offset)):
        seen = [greatest[row.partition] - 3] if row.partition in greatest else []
        seen += [starts[row.epoch]] if row.epoch in starts else []
        found[row.partition, row.offset, row.epoch] = max(seen, default=None)
        greatest[row.partition] = max(greatest.get(row.partition, row.second), row.second)
    return found


@settings(max_examples=60, deadline=None)
@given(
    steps=STEPS,
    replayed=st.lists(st.integers(0, 50), max_size=3),
    starts=st.dictionaries(st.integers(1, 20), st.integers(-5, 40)),
    size=st.sampled_from([1, 2, 4, 4096]),
)
def test_who_was_late(
    steps: list[tuple[int, int, bool]], replayed: list[int], starts: dict[int, int], size: int
) -> None:
    rows = rows_of(steps, replayed)
    wanted = plainly(rows, starts)
    with duckdb.connect() as connection:
        fill(connection, rows, starts)
        relations = Relations()
        until = 1 << 40
        connection.execute(
            f"create temp table blocks as {open_blocks(SOURCE, until, relations, size)}"
        )
        late = latecomers("blocks", SOURCE, until, relations, size)
        connection.execute(f"create temp table late as {late}")
        sql = with_latecomers("late", SOURCE, until, relations)
        found = connection.execute(
            f"select _partition, _offset, _epoch, _replay, _time, _closed from ({sql})"
        ).fetchall()
        all_of = connection.execute(
            f"select _partition, _offset, _epoch, _closed from "
            f"({watermarked(SOURCE, until, relations)}) where _replay is null"
        ).fetchall()
    assert {tuple(place): seconds(at) for *place, at in all_of} == wanted
    assert sorted(r[:4] for r in found if r[3] is None) == sorted(
        (r.partition, r.offset, r.epoch, None) for r in rows if r.replay is None
    )
    assert sum(r[3] is not None for r in found) == sum(r.replay is not None for r in rows)
    for partition, offset, epoch, replay, time, closed in found:
        if replay is not None:
            continue
        exact = wanted[partition, offset, epoch]
        if closed is None:
            assert exact is None or seconds(time) >= exact
        else:
            assert seconds(closed) == exact


def fill(connection: duckdb.DuckDBPyConnection, rows: list[Row], starts: dict[int, int]) -> None:
    connection.execute(
        "create table events (_topic_generation varchar, _partition integer, _offset bigint, "
        "_replay bigint, _epoch bigint, _time timestamp, n bigint)"
    )
    connection.execute("create table epochs_of_source (epoch bigint, watermark_start timestamp)")
    for r in rows:
        time = START + timedelta(seconds=r.second)
        connection.execute(
            "insert into events values ('g', ?, ?, ?, ?, ?, 0)",
            [r.partition, r.offset, r.replay, r.epoch, time],
        )
    for epoch in {r.epoch for r in rows}:
        start = START + timedelta(seconds=starts[epoch]) if epoch in starts else None
        connection.execute("insert into epochs_of_source values (?, ?)", [epoch, start])


def seconds(time: datetime | None) -> int | None:
    return None if time is None else int((time - START).total_seconds())


@pytest.mark.parametrize("behind", [3, 4])
def test_a_block_is_open_where_a_record_lies_behind(behind: int) -> None:
    rows = [Row(0, n, 1, None, n) for n in range(10)] + [Row(0, 10, 1, None, 9 - behind)]
    with duckdb.connect() as connection:
        fill(connection, rows, {})
        sql = open_blocks(SOURCE, 1, Relations(), 4)
        found = connection.execute(f"select _block from ({sql})").fetchall()
    assert found == ([(2,)] if behind > 3 else [])
