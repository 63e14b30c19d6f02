"""Rows and lakes for the tests, and a plain reading of a lake by Delta's own reader."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from deltalake import DeltaTable

from headrace.storage.contract import Mark
from headrace.storage.lake.columns import METADATA
from headrace.storage.lake.lake import DeltaLake
from headrace.storage.lake.reading import relation_sql

EVENT = pa.schema(
    [
        pa.field("event_time", pa.timestamp("us")),
        pa.field("user_id", pa.string()),
        pa.field("event_date", pa.date32()),
        *METADATA,
    ]
)
START = datetime(2026, 1, 1, 23, 59)
JOB = "activity"


def event(number: int) -> dict[str, Any]:
    time = START + timedelta(seconds=number, microseconds=number)
    return {
        "event_time": time,
        "user_id": f"user_{number % 7}",
        "event_date": time.date(),
        "_topic": "user_activity",
        "_topic_generation": "t1",
        "_partition": number % 3,
        "_offset": number // 3,
        "_replay": None if number % 5 else 1,
        "_arrival_time": time + timedelta(seconds=1),
        "_epoch": number // 10,
        "_late": ["page_views", "active"] if number % 4 == 0 else [],
    }


def events(first: int, count: int) -> pa.Table:
    return pa.Table.from_pylist([event(n) for n in range(first, first + count)], schema=EVENT)


def mark(epoch: int, generation: int = 1, job: str = JOB) -> Mark:
    offsets, watermarks_us = {"user_activity": [epoch, epoch, 0]}, {"user_activity": -5}
    return Mark(job, generation, epoch, offsets, watermarks_us, {"user_activity": f"made {epoch}"})


class TidiedLake(DeltaLake):
    """A lake whose upkeep follows on each delivery at once, and ends."""

    def deliver(self, rows: pa.Table, mark: Mark) -> int:
        landed = super().deliver(rows, mark)
        self.tidy(lambda: False)
        return landed


def lake(directory: Path, **options: Any) -> DeltaLake:
    return TidiedLake(directory, EVENT, ("event_date",), **options)


def rows(directory: Path) -> list[dict[str, Any]]:
    """The lake's rows by our reader, in the order of `_offset`, `_partition`."""
    with duckdb.connect() as connection:
        # A zone far from UTC: nothing may depend on it.
        connection.execute("set timezone = 'Pacific/Auckland'")
        return ordered(connection.sql(relation_sql(directory)).to_arrow_table().to_pylist())


def delta_rows(directory: Path) -> list[dict[str, Any]]:
    """The lake's rows by Delta's own reader, times made naive."""
    table = DeltaTable(str(directory)).to_pyarrow_table()
    return ordered([{k: _naive(v) for k, v in row.items()} for row in table.to_pylist()])


def _naive(value: Any) -> Any:
    if isinstance(value, datetime):
        assert value.tzinfo is not None
        return value.astimezone(UTC).replace(tzinfo=None)
    return value


def ordered(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(found, key=lambda row: (row["_offset"], row["_partition"]))


def data_files(directory: Path) -> list[Path]:
    return sorted(directory.rglob("headrace-*.parquet"))


def log_files(directory: Path) -> list[str]:
    return sorted(path.name for path in (directory / "_delta_log").iterdir())
