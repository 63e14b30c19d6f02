"""Where each peer leaves its rows, as SQL over its directory; times in UTC."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Tables:
    """`{at}` is the peer's directory. Empty where it has no such output, or another meaning.

    `sessions`, whatever they mean, are only counted; `lake` and `enriched` have the members of the
    events. Where rows were written again, the SQL takes the last.
    """

    page_view_counts: str
    active_users: str = ""
    user_sessions: str = ""
    lake: str = ""
    enriched: str = ""
    sessions: str = ""


_LATEST = "qualify row_number() over (partition by {key} order by batch desc) = 1"
_SESSION = "user_id, session_start_time, event_count"
_LAST_SESSION = (
    "qualify row_number() over (partition by user_id"
    " order by session_start_time desc, event_count desc) = 1"
)


def _counted(files: str) -> str:
    return f"select window_start::timestamp, page_url, view_count from {files}"


def _users(files: str) -> str:
    return f"select window_start::timestamp, active_user_count from {files}"


TABLES = {
    "spark": Tables(
        _counted("read_parquet('{at}/page_view_counts/*.parquet')")
        + " "
        + _LATEST.format(key="window_start, page_url"),
        _users("read_parquet('{at}/active_users/*.parquet')")
        + " "
        + _LATEST.format(key="window_start"),
        "",
        "from read_parquet('{at}/lake/*/*.parquet')",
        "from read_json('{at}/enriched_activity/*.json')",
        "from read_parquet('{at}/user_sessions/*.parquet')",
    ),
    "flink": Tables(
        _counted("read_json('{at}/page_view_counts/part-*')"),
        _users("read_json('{at}/active_users/part-*')"),
        "",
        "from read_parquet('{at}/lake/*/part-*')",
        "from read_json('{at}/enriched_activity/part-*')",
        "from read_json('{at}/user_sessions/part-*')",
    ),
    "pathway": Tables(
        _counted("read_json('{at}/page_view_counts.jsonl')") + " where diff = 1",
        _users("read_json('{at}/active_users.jsonl')") + " where diff = 1",
        "",
        "from read_parquet('{at}/lake/*/*.parquet')",
        "from read_json('{at}/enriched_activity.jsonl')",
        "from read_json('{at}/user_sessions.jsonl') where diff = 1",
    ),
    "bytewax": Tables(
        _counted("read_json('{at}/page_view_counts-*.jsonl')"),
        _users("read_json('{at}/active_users-*.jsonl')"),
        "select user_id, session_start_time::timestamp as session_start_time, event_count"
        " from read_json('{at}/user_sessions-*.jsonl') " + _LAST_SESSION,
        "from read_parquet('{at}/lake/*.parquet')",
        "from read_json('{at}/enriched_activity-*.jsonl')",
        "select 1 from read_json('{at}/user_sessions-*.jsonl') " + _LAST_SESSION,
    ),
    "quix": Tables(
        "select make_timestamp(r.window_start * 1000), r.page_url, max(r.view_count) from"
        " (select _value as r from read_json('{at}/page_view_counts/*/*/*.jsonl')) group by all",
        "",
        "select user_id, make_timestamp(ms * 1000) as session_start_time, event_count from"
        " (select r.user_id, r.session_start_time as ms, r.event_count from"
        " (select _value as r from read_json('{at}/user_sessions/*/*/*.jsonl'))) " + _LAST_SESSION,
        "from read_parquet('{at}/lake/*/*/*.parquet')",
        "select unnest(_value) from read_json('{at}/enriched_activity/*/*/*.jsonl')",
        "select 1 from (select r.user_id, r.session_start_time, r.event_count from"
        " (select _value as r from read_json('{at}/user_sessions/*/*/*.jsonl'))) " + _LAST_SESSION,
    ),
}
