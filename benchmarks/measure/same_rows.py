"""Compares what a run left with what another did of the same events: a script, or another run.

A script leaves its tables in `results.duckdb`; a run a data directory. Tables are compared row by
row; of the lake and the enriched records the numbers.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from benchmarks.activity_five import app

_TABLES = {
    "page_view_counts": "select window_start, page_url, view_count from page_view_counts",
    "active_users": "select window_start, active_user_count from active_users",
    "user_sessions": "select user_id, session_start_time, event_count from user_sessions",
}
_OF_RUN = {"lake": "lake.activity", "enriched": "topic.enriched_activity"}
_OF_SCRIPT = {
    "lake": "read_parquet('{at}/lake/**/*.parquet')",
    "enriched": "read_csv('{at}/enriched_activity.ndjson', columns = {{line: 'VARCHAR'}}, "
    "delim = '\\x01', quote = '', escape = '', header = false, auto_detect = false)",
}


@dataclass(frozen=True)
class Left:
    """The tables that something left, and how many rows of what was only counted."""

    tables: dict[str, pa.Table]
    counted: dict[str, int]


def of_run(data: str) -> Left:
    counts = {name: app.query(_counting(of), data=data) for name, of in _OF_RUN.items()}
    return Left(
        {name: app.query(sql, data=data) for name, sql in _TABLES.items()},
        {name: int(found["n"][0].as_py()) for name, found in counts.items()},
    )


def of_script(place: Path) -> Left:
    """Of one that makes the count alone, only that."""
    with duckdb.connect(str(place / "results.duckdb"), read_only=True) as connection:
        made = {name for (name,) in connection.execute("show tables").fetchall()}
        tables = {n: connection.sql(s).to_arrow_table() for n, s in _TABLES.items() if n in made}
        counted = {}
        for name, of in _OF_SCRIPT.items() if len(tables) > 1 else ():
            rows = connection.execute(_counting(of.format(at=place))).fetchall()
            counted[name] = int(rows[0][0])
    return Left(tables, counted)


def compared(ours: Left, theirs: Left) -> dict[str, dict[str, int]]:
    """By output of theirs: how many rows are `ours` and `theirs`, of tables how many `equal`."""
    found = {}
    with duckdb.connect() as connection:
        for name, rows in theirs.tables.items():
            connection.register("ours", ours.tables[name])
            connection.register("theirs", rows)
            sql = _counting("(from ours intersect all from theirs)")
            equal = int(connection.execute(sql).fetchall()[0][0])
            found[name] = {"ours": len(ours.tables[name]), "theirs": len(rows), "equal": equal}
    for name, number in theirs.counted.items():
        found[name] = {"ours": ours.counted[name], "theirs": number}
    return found


def _counting(rows: str) -> str:
    return f"select count(*) as n from {rows}"


def main(data: str, other: str) -> None:
    script = (Path(other) / "results.duckdb").exists()
    theirs = of_script(Path(other)) if script else of_run(other)
    print(json.dumps(compared(of_run(data), theirs)))


if __name__ == "__main__":
    main(*sys.argv[1:])
