"""What a peer lost is counted, and told apart from what it could not have written yet."""

from __future__ import annotations

from datetime import datetime

import duckdb
import pyarrow as pa
import pytest

from benchmarks.measure.peer_rows import compared, events
from benchmarks.measure.prints import Print, asking, print_of
from benchmarks.peers.tables import Tables

TABLES = Tables(
    page_view_counts="select window_start, page_url, view_count from read_parquet('{at}/views')",
    active_users="select window_start, n from read_parquet('{at}/users')",
    user_sessions="from read_parquet('{at}/sessions')",
    lake="from read_parquet('{at}/events')",
    enriched="select unnest(_value) from read_json('{at}/events.jsonl')",
    sessions="from read_parquet('{at}/sessions')",
)
VIEWS = [(0, "/a", 5), (0, "/b", 7), (1, "/a", 2), (9, "/a", 4)]


def table(names: str, rows: list[tuple]) -> pa.Table:
    """Rows whose first value, a minute, becomes a time."""
    timed = [(datetime(2026, 1, 5, 0, minute), *rest) for minute, *rest in rows]
    return pa.table([list(column) for column in zip(*timed, strict=True)], names.split())


@pytest.fixture
def connection(tmp_path) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    views, users = "window_start page_url view_count", "window_start active_user_count"
    connection.register("ours_counts", table(views, VIEWS))
    connection.register("ours_users", table(users, [(0, 100), (1, 50), (9, 10)]))
    sessions = "session_start_time user_id event_count"
    connection.register("ours_sessions", table(sessions, [(0, "u", 3), (1, "v", 1)]))
    return connection


def written(
    connection, at, views: list[tuple], users: tuple[tuple, ...] = ((0, 110), (1, 50))
) -> dict[str, dict[str, float]]:
    for name, rows in (
        ("views", table("window_start page_url view_count", views)),
        ("users", table("window_start n", list(users))),
        ("sessions", table("session_start_time user_id event_count", [(0, "u", 3), (1, "v", 2)])),
    ):
        connection.register("rows", rows)
        connection.execute(f"copy rows to '{at}/{name}' (format parquet)")
    return compared(connection, TABLES, str(at), "five")


def test_equal_rows_are_equal(connection, tmp_path) -> None:
    found = written(connection, tmp_path, VIEWS)
    counts = found["page_view_counts"]
    assert (counts["rows"], counts["equal"]) == (4, 4)
    assert (counts["events"], counts["lost"]) == (18, 0)
    users = found["active_users"]
    assert (users["rows"], users["found"], users["equal"]) == (3, 2, 1)
    # The window of minute 9 is open.
    assert (users["missing"], users["more"]) == (0, 0)
    assert users["off_max"] == pytest.approx(0.1)
    assert found["user_sessions"] == {"rows": 2, "equal": 1}
    assert found["sessions"] == {"rows": 2}


def test_lost_rows_are_not_hidden(connection, tmp_path) -> None:
    # One row is missing, one too small, one is no row of ours; the window of minute 9 is open.
    # What is too much in the last makes up for nothing.
    found = written(connection, tmp_path, [(0, "/b", 6), (1, "/a", 2), (3, "/c", 100)])
    counts = found["page_view_counts"]
    kinds = {k: counts[k] for k in ("equal", "different", "missing", "open", "more")}
    assert kinds == {"equal": 1, "different": 1, "missing": 1, "open": 1, "more": 1}
    # All five of the row that is missing, and one of the seven.
    assert (counts["events"], counts["lost"]) == (14, 6)


def test_windows_of_users_are_lost_or_made_up_too(connection, tmp_path) -> None:
    users = written(connection, tmp_path, VIEWS, ((1, 50), (2, 3)))["active_users"]
    assert (users["found"], users["missing"], users["more"]) == (1, 1, 1)


EVENTS = [("2026-01-05T00:00:01.5Z", "u", "/a", "click"), ("2026-01-05T00:00:02Z", "v", "/", "x")]
NAMES = ["event_time", "user_id", "page_url", "event_type"]


def event_print(connection, rows: list[tuple]) -> Print:
    texts = pa.table([list(column) for column in zip(*rows, strict=True)], NAMES)
    connection.register("events", texts)
    return print_of(connection.sql(asking("from events")).to_arrow_table())


def test_the_same_events_are_the_same_in_any_order_and_form(connection, tmp_path) -> None:
    ours = event_print(connection, EVENTS)
    assert ours.rows == 2
    assert event_print(connection, EVENTS[::-1]) == ours
    # As many, but one of them twice; a member of another.
    assert event_print(connection, [EVENTS[0], EVENTS[0]]) != ours
    assert event_print(connection, [EVENTS[0], (*EVENTS[1][:3], "y")]) != ours
    event_print(connection, EVENTS)
    times = "select * replace (event_time::timestamp as event_time) from events"
    connection.execute(f"copy ({times}) to '{tmp_path}/events' (format parquet)")
    whole = "select events as _value from events limit 1"
    connection.execute(f"copy ({whole}) to '{tmp_path}/events.jsonl' (format json)")
    assert events(connection, TABLES, str(tmp_path), ours) == {
        "lake": {"rows": 2, "same": True},
        "enriched": {"rows": 1, "same": False},
    }
