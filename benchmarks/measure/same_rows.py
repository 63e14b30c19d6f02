"""Compares what a run left with what another did of the same events: a script, or another run.

A script leaves its tables in `results.duckdb`; a run a data directory. Tables are compared row by
row; the lake and the enriched records by their prints.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from benchmarks.activity_five import app
from benchmarks.measure.prints import OURS, Print, asking, print_of

_TABLES = {
    "page_view_counts": "select window_start, page_url, view_count from page_view_counts",
    "active_users": "select window_start, active_user_count from active_users",
}
# A script knows no watermark, with which sessions time out: of their ends it has those by a mark.
_SESSIONS = """
select user_id, session_start_time, event_count, {ended} as ended,
    case when {ended} then session_end_time end as session_end_time,
    case when {ended} then {duration} end as duration_us
from user_sessions
"""
_OURS_TABLES = _TABLES | {
    "user_sessions": _SESSIONS.format(
        ended="coalesce(ended_by = 'end', false)",
        duration="round(session_duration_seconds * 1e6)::bigint",
    )
}
_SCRIPT_TABLES = _TABLES | {
    "user_sessions": _SESSIONS.format(
        ended="ended", duration="epoch_us(session_end_time) - epoch_us(session_start_time)"
    )
}
_COLUMNS = (
    "{event_time: 'TIMESTAMP', user_id: 'VARCHAR', page_url: 'VARCHAR', event_type: 'VARCHAR'}"
)
_SCRIPT_EVENTS = {
    "lake": "from read_parquet('{at}/lake/**/*.parquet')",
    "enriched": "from read_json('{at}/enriched_activity.ndjson',"
    f" format = 'newline_delimited', columns = {_COLUMNS.replace('{', '{{').replace('}', '}}')})",
}


@dataclass(frozen=True)
class Left:
    """The tables that something left, and the prints of all events that it has written."""

    tables: dict[str, pa.Table]
    events: dict[str, Print]


def of_run(data: str) -> Left:
    return Left(
        {name: app.query(sql, data=data) for name, sql in _OURS_TABLES.items()},
        {name: print_of(app.query(asking(rows), data=data)) for name, rows in OURS.items()},
    )


def of_script(place: Path) -> Left:
    """Of one that makes the count alone, only that."""
    with duckdb.connect(str(place / "results.duckdb"), read_only=True) as connection:
        made = {name for (name,) in connection.execute("show tables").fetchall()}
        tables = {
            name: connection.sql(sql).to_arrow_table()
            for name, sql in _SCRIPT_TABLES.items()
            if name in made
        }
        events = {}
        for name, rows in _SCRIPT_EVENTS.items() if len(tables) > 1 else ():
            sql = asking(rows.format(at=place))
            events[name] = print_of(connection.sql(sql).to_arrow_table())
    return Left(tables, events)


def compared(ours: Left, theirs: Left) -> dict[str, Mapping[str, int | bool]]:
    """By output of theirs: how many rows are `ours` and `theirs`.

    Of tables how many are `equal`; of events whether all are the `same`.
    """
    found: dict[str, Mapping[str, int | bool]] = {}
    with duckdb.connect() as connection:
        for name, rows in theirs.tables.items():
            connection.register("ours", ours.tables[name])
            connection.register("theirs", rows)
            sql = "select count(*) from (from ours intersect all from theirs)"
            equal = int(connection.execute(sql).fetchall()[0][0])
            found[name] = {"ours": len(ours.tables[name]), "theirs": len(rows), "equal": equal}
    for name, of in theirs.events.items():
        mine = ours.events[name]
        found[name] = {"ours": mine.rows, "theirs": of.rows, "same": mine == of}
    return found


def main(data: str, other: str) -> None:
    script = (Path(other) / "results.duckdb").exists()
    theirs = of_script(Path(other)) if script else of_run(other)
    print(json.dumps(compared(of_run(data), theirs)))


if __name__ == "__main__":
    main(*sys.argv[1:])
