"""Scripts and other runs are compared with a run of ours, whatever they left it in."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from benchmarks.measure.prints import Print
from benchmarks.measure.same_rows import Left, compared, of_script

VIEWS = "select 1 as window_start, 'a' as page_url, 2 as view_count"


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """What a script with all five outputs leaves."""
    with duckdb.connect(str(tmp_path / "results.duckdb")) as connection:
        connection.execute(f"create table page_view_counts as {VIEWS}")
        connection.execute(
            "create table active_users as select 1 as window_start, 7 as active_user_count"
        )
        connection.execute(
            "create table user_sessions as select 'u' as user_id, 3 as event_count, n = 0 as ended,"
            " timestamp '2026-01-05' as session_start_time,"
            " timestamp '2026-01-05 00:00:02.5' as session_end_time from range(2) as r (n)"
        )
        day = tmp_path / "lake" / "event_date=2026-01-05"
        day.mkdir(parents=True)
        connection.execute(
            "create temp table events as select timestamp '2026-01-05' as event_time,"
            " 'u' as user_id, '/' as page_url, 'click' as event_type from range(5)"
        )
        connection.execute(f"copy events to '{day}/a.parquet' (format parquet)")
        lines = "select *, now() as processing_time from events"
        connection.execute(f"copy ({lines}) to '{tmp_path}/enriched_activity.ndjson' (format json)")
    return tmp_path


def test_what_a_script_left_is_found(script: Path) -> None:
    left = of_script(script)
    assert {name: len(rows) for name, rows in left.tables.items()} == {
        "page_view_counts": 1,
        "active_users": 1,
        "user_sessions": 2,
    }
    ends = {row["ended"]: row["duration_us"] for row in left.tables["user_sessions"].to_pylist()}
    assert ends == {True: 2_500_000, False: None}
    assert left.events["lake"].rows == 5
    assert left.events["lake"] == left.events["enriched"]


def test_a_script_of_the_count_alone_has_nothing_else(tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "results.duckdb")) as connection:
        connection.execute(f"create table page_view_counts as {VIEWS}")
    left = of_script(tmp_path)
    assert list(left.tables) == ["page_view_counts"] and left.events == {}


def test_rows_are_counted_on_both_sides_and_as_often_as_they_are_there() -> None:
    def left(*numbers: int) -> Left:
        lake = Print(len(numbers), str(sum(numbers)))
        return Left({"page_view_counts": pa.table({"n": list(numbers)})}, {"lake": lake})

    assert compared(left(1, 1, 2), left(1, 1, 2, 3)) == {
        "page_view_counts": {"ours": 3, "theirs": 4, "equal": 3},
        "lake": {"ours": 3, "theirs": 4, "same": False},
    }
    found = compared(left(1, 1), left(1, 2))
    assert found["page_view_counts"] == {"ours": 2, "theirs": 2, "equal": 1}
    assert found["lake"] == {"ours": 2, "theirs": 2, "same": False}
