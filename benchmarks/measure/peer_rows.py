"""Compares what a peer left with the tables of a run over the same events; nothing is hidden.

Windows that no watermark could have closed yet are counted as open where the peer has not written
them, not as lost.
"""

from __future__ import annotations

import json
import sys

import duckdb

from benchmarks.activity_five import app
from benchmarks.measure.prints import OURS, Print, asking, print_of
from benchmarks.peers.tables import TABLES, Tables

_LATENESS = "interval 2 minutes"

_COUNTS = f"""
with sides as (
    select o.view_count as ours, p.view_count as peer,
        o.window_start + interval 1 minute > (
            select max(window_start) - {_LATENESS} from ours_counts) as open
    from ours_counts o full join ({{peer}}) as p (window_start, page_url, view_count)
    on o.window_start = p.window_start and o.page_url = p.page_url)
select count(ours) as rows,
    count(*) filter (ours = peer) as equal,
    count(*) filter (ours <> peer) as different,
    count(*) filter (peer is null and not open) as missing,
    count(*) filter (peer is null and open) as open,
    count(*) filter (ours is null) as more,
    coalesce(sum(ours) filter (peer is not null or not open), 0)::bigint as events,
    coalesce(sum(greatest(ours - coalesce(peer, 0), 0)) filter (peer is not null or not open),
        0)::bigint as lost
from sides
"""
_USERS = f"""
with sides as (
    select o.active_user_count as ours, p.n as peer,
        o.window_start + interval 5 minutes > (
            select max(window_start) - {_LATENESS} from ours_users) as open
    from ours_users o full join ({{peer}}) as p (window_start, n) using (window_start))
select count(ours) as rows, count(ours) filter (peer is not null) as found,
    count(*) filter (ours = peer) as equal,
    count(*) filter (peer is null and not open) as missing,
    count(*) filter (ours is null) as more,
    max(abs(peer - ours) / ours) as off_max
from sides
"""
_SESSIONS = """
select (select count(*) from ours_sessions) as rows,
    (select count(*) from (from ours_sessions intersect all {peer})) as equal
"""
_OURS = {
    "ours_counts": "select window_start, page_url, view_count from page_view_counts",
    "ours_users": "select window_start, active_user_count from active_users",
    "ours_sessions": "select user_id, session_start_time, event_count from user_sessions",
}


def main(data: str, peer: str, pipeline: str, target: str) -> None:
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        for name, sql in _OURS.items():
            connection.register(name, app.query(sql, data=data))
        rows = compared(connection, TABLES[peer], target, pipeline)
        if pipeline == "five":
            rows |= events(connection, TABLES[peer], target, _print(data))
        print(json.dumps(rows, default=str))


def _print(data: str) -> Print:
    """That of the events, which are the same in our lake and in what we enriched."""
    return print_of(app.query(asking(OURS["lake"]), data=data))


def events(
    connection: duckdb.DuckDBPyConnection, tables: Tables, target: str, ours: Print
) -> dict[str, dict[str, int | bool]]:
    """How many events are in its lake and enriched, and whether they are the `same` as ours."""
    found = {}
    for name in ("lake", "enriched"):
        sql = asking(getattr(tables, name).format(at=target))
        theirs = print_of(connection.sql(sql).to_arrow_table())
        found[name] = {"rows": theirs.rows, "same": theirs == ours}
    return found


def compared(
    connection: duckdb.DuckDBPyConnection, tables: Tables, target: str, pipeline: str
) -> dict[str, dict[str, float]]:
    """By table, what `_COUNTS` and the others count; the views `ours_…` are there."""

    def row(sql: str, peer: str) -> dict[str, float]:
        found = connection.execute(sql.format(peer=peer.format(at=target)))
        names = [column[0] for column in found.description]
        (values,) = found.fetchall()
        return dict(zip(names, values, strict=True))

    rows = {"page_view_counts": row(_COUNTS, tables.page_view_counts)}
    if pipeline == "five":
        if tables.active_users:
            rows["active_users"] = row(_USERS, tables.active_users)
        if tables.user_sessions:
            rows["user_sessions"] = row(_SESSIONS, tables.user_sessions)
        rows["sessions"] = row("select count(*) as rows from ({peer})", tables.sessions)
    return rows


if __name__ == "__main__":
    main(*sys.argv[1:])
