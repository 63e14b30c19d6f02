"""PyFlink SQL: from Kafka into files, twice in one JVM: cold, then warm.

One statement set shares the source and its parsing. The source is bounded at what the topic holds,
so that all windows close at its end. Sessions are Flink's gap sessions, which know no marks.

Arguments: `five` or `count`, servers/topic, a directory to make, how many events, a directory of
jars, whether operators hand records on as they are (`true`, `false`: each gets a copy).
"""

import json
import sys
import time
from pathlib import Path

from pyflink.table import EnvironmentSettings, TableEnvironment

SETTINGS = {
    "parallelism.default": "2",
    "table.local-time-zone": "UTC",
    # Files are committed with checkpoints.
    "execution.checkpointing.interval": "10 s",
}

EVENTS = """
create table events (
    event_time timestamp_ltz(3), user_id string, page_url string, event_type string,
    watermark for event_time as event_time - interval '2' minute
) with (
    'connector' = 'kafka', 'topic' = '{topic}', 'properties.bootstrap.servers' = '{servers}',
    'properties.group.id' = 'bench', 'scan.startup.mode' = 'earliest-offset',
    'scan.bounded.mode' = 'latest-offset', 'format' = 'json',
    'json.timestamp-format.standard' = 'ISO-8601'
)
"""

# name: its columns, its format, what is written into it
TABLES = {
    "page_view_counts": (
        "window_start timestamp(3), page_url string, view_count bigint",
        "json",
        """select window_start, page_url, count(*)
        from table(tumble(table events, descriptor(event_time), interval '1' minute))
        where event_type = 'page_view' group by window_start, window_end, page_url""",
    ),
    "active_users": (
        "window_start timestamp(3), active_user_count bigint",
        "json",
        """select window_start, count(distinct user_id)
        from table(hop(table events, descriptor(event_time),
                       interval '1' minute, interval '5' minute))
        group by window_start, window_end""",
    ),
    "user_sessions": (
        "user_id string, session_start_time timestamp(3), event_count bigint",
        "json",
        """select user_id, window_start, count(*)
        from table(session(table events partition by user_id, descriptor(event_time),
                           interval '30' minute))
        group by window_start, window_end, user_id""",
    ),
    "lake": (
        "event_time timestamp(3), user_id string, page_url string, event_type string,"
        " event_date string",
        "parquet",
        """select cast(event_time as timestamp(3)), user_id, page_url, event_type,
        date_format(event_time, 'yyyy-MM-dd') from events""",
    ),
    "enriched_activity": (
        "event_time timestamp(3), user_id string, page_url string, event_type string,"
        " processing_time timestamp(3)",
        "json",
        """select cast(event_time as timestamp(3)), user_id, page_url, event_type,
        cast(current_timestamp as timestamp(3)) from events""",
    ),
}
PIPELINES = {"count": ("page_view_counts",), "five": tuple(TABLES)}


def environment(jars: Path, reuse: str) -> TableEnvironment:
    found = TableEnvironment.create(EnvironmentSettings.in_streaming_mode())
    paths = ";".join(f"file://{path}" for path in sorted(jars.glob("flink-*.jar")))
    more = {"pipeline.jars": paths, "pipeline.object-reuse": reuse}
    for key, value in (SETTINGS | more).items():
        found.get_config().set(key, value)
    return found


def run(tables: TableEnvironment, pipeline: str, target: Path) -> None:
    statements = tables.create_statement_set()
    for name in PIPELINES[pipeline]:
        columns, form, query = TABLES[name]
        tables.execute_sql(f"drop temporary table if exists {name}")
        by = "partitioned by (event_date)" if name == "lake" else ""
        tables.execute_sql(
            f"create temporary table {name} ({columns}) {by} with ('connector' = 'filesystem', "
            f"'path' = 'file://{target / name}', 'format' = '{form}')"
        )
        statements.add_insert_sql(f"insert into {name} {query}")
    statements.execute().wait()


def main(pipeline: str, source: str, target: str, _events: str, jars: str, reuse: str) -> None:
    begun = time.perf_counter()
    servers, _, topic = source.partition("/")
    tables, seconds = environment(Path(jars), reuse), []
    tables.execute_sql(EVENTS.format(servers=servers, topic=topic))
    started = time.perf_counter() - begun
    for number in ("cold", "warm"):
        begun = time.perf_counter()
        run(tables, pipeline, Path(target).absolute() / number)
        seconds.append(time.perf_counter() - begun)
    print(json.dumps({"start": started, "seconds": seconds}))


if __name__ == "__main__":
    main(*sys.argv[1:])
