"""Compares the tables of a run with those that the peer made; exit 1 when page_view_counts differ.

The peer's tables are in a DuckDB database.
"""

from __future__ import annotations

import json
import sys

import duckdb
import pyarrow as pa

from benchmarks.activity_five import app

_TABLES = {
    "page_view_counts": "window_start, page_url, view_count",
    "active_users": "window_start, active_user_count",
    "user_sessions": "user_id, session_start_time, event_count",
}


def main(data: str, database: str) -> None:
    with duckdb.connect(database, read_only=True) as peer:
        made = {name for (name,) in peer.execute("show tables").fetchall()}
        found = {
            name: _compare(peer, data, name, columns)
            for name, columns in _TABLES.items()
            if name in made
        }
    print(json.dumps(found))
    if found["page_view_counts"]["equal"] != found["page_view_counts"]["ours"]:
        sys.exit(1)


def _compare(peer: duckdb.DuckDBPyConnection, data: str, name: str, columns: str) -> dict[str, int]:
    ours: pa.Table = app.query(f"select {columns} from {name}", data=data)
    peer.register("ours", ours)
    theirs = f"select {columns} from {name}"
    counts = {
        "ours": "select count(*) from ours",
        "peer": f"select count(*) from ({theirs})",
        "equal": f"select count(*) from (select * from ours intersect all {theirs})",
    }
    return {key: int(peer.sql(sql).fetchall()[0][0]) for key, sql in counts.items()}


if __name__ == "__main__":
    main(*sys.argv[1:])
