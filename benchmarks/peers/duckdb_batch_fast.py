"""The same outputs as a batch with DuckDB alone, once, as fast as it can be made to go.

The yardstick for what the hardware gives, not a way to write it: it uses what is known of this
input (well-formed lines without braces inside, few days) and gives no guarantee at all. Against
`duckdb_batch.py`:

- the enriched lines are the raw lines with another end, not serialised again;
- a user's latest session begins at the last `session_start` and has its first `session_end`, so
  that no window function is needed where it lasts less than the timeout;
- each day is a plain file of its own: nothing is shuffled, and no order is kept.

Arguments: a directory of NDJSON files, a directory to make, `five` (as without) or `count`.
"""

import json
import sys
import time
from pathlib import Path

import duckdb

COUNT = """
create table page_view_counts as
select date_trunc('minute', event_time) as window_start, page_url, count(*) as view_count
from {events} where event_type = 'page_view' group by all;
"""
COUNTED = """read_json('{source}/*.ndjson', format = 'newline_delimited', columns = {{
    event_time: 'TIMESTAMP', page_url: 'VARCHAR', event_type: 'VARCHAR'}})"""

EVENTS = """
set preserve_insertion_order = false;
create temp table events as
select * from read_json('{source}/*.ndjson', format = 'newline_delimited', columns = {{
    event_time: 'TIMESTAMP', user_id: 'VARCHAR', page_url: 'VARCHAR',
    event_type: $$ENUM('page_view', 'click', 'session_start', 'session_end')$$}});
"""

ACTIVE_USERS = """
create table active_users as
with minutes as (
    select distinct date_trunc('minute', event_time) as minute, user_id from events)
select minute - to_minutes(back) as window_start,
       approx_count_distinct(user_id) as active_user_count
from minutes, range(5) as steps (back) group by all;
"""

SESSIONS = """
create temp table begun as
select user_id, max(event_time) as session_start_time
from events where event_type = 'session_start' group by user_id;

create temp table latest as
select user_id, session_start_time, min(event_time) filter (event_type = 'session_end') as first_end
from events join begun using (user_id) where event_time >= session_start_time group by all;

create temp table inside as
select user_id, session_start_time, event_time, event_type
from events join latest using (user_id)
where event_time between session_start_time and coalesce(first_end, 'infinity');

create temp table whole as
select user_id, session_start_time, max(event_time) as session_end_time,
       count(*) as event_count, bool_or(event_type = 'session_end') as ended
from inside group by all;

create table user_sessions as
with gaps as (
    select inside.*, coalesce(event_time - lag(event_time) over one_user >= interval 30 minutes,
                              false) as beyond
    from inside semi join (
        from whole where session_end_time - session_start_time >= interval 30 minutes
    ) as long using (user_id)
    window one_user as (partition by user_id order by event_time)),
cut as (
    from gaps qualify not bool_or(beyond) over (partition by user_id order by event_time))
from whole where session_end_time - session_start_time < interval 30 minutes
union all
select user_id, session_start_time, max(event_time), count(*), bool_or(event_type = 'session_end')
from cut group by all;
"""

DAY = """
copy (from events
      where event_time >= '{day}' and event_time < timestamp '{day}' + interval 1 day)
to '{target}/lake/event_date={day}.parquet' (format parquet);
"""

ENRICHED = """
copy (select line, '"processing_time":"' || now()::varchar || '"}}'
      from read_csv('{source}/*.ndjson', columns = {{line: 'VARCHAR', nothing: 'VARCHAR'}},
          delim = '}}', header = false, quote = '', escape = '', auto_detect = false))
to '{target}/enriched_activity.ndjson'
(format csv, header false, quote '', escape '', delimiter ',');
"""


def five(connection: duckdb.DuckDBPyConnection, source: str, target: str) -> None:
    connection.execute(EVENTS.format(source=source))
    connection.execute(COUNT.format(events="events") + ACTIVE_USERS + SESSIONS)
    (Path(target) / "lake").mkdir()
    days = connection.execute("select distinct event_time::date from events").fetchall()
    for (day,) in days:
        connection.execute(DAY.format(day=day, target=target))
    connection.execute(ENRICHED.format(source=source, target=target))


def count(connection: duckdb.DuckDBPyConnection, source: str, _target: str) -> None:
    connection.execute(COUNT.format(events=COUNTED.format(source=source)))


def main(source: str, target: str, pipeline: str = "five") -> None:
    Path(target).mkdir(parents=True)
    begun = time.perf_counter()
    with duckdb.connect(f"{target}/results.duckdb") as connection:
        {"five": five, "count": count}[pipeline](connection, source, target)
    print(json.dumps({"seconds": time.perf_counter() - begun}))


if __name__ == "__main__":
    main(*sys.argv[1:])
