"""The same five outputs as a plain batch over files, as one would write it with DuckDB alone.

No log, no watermark, no late events, no recovery, no transactions across outputs: it reads
everything and writes everything. Arguments: a directory of NDJSON files, a directory to make.
"""

import json
import sys
import time
from pathlib import Path

import duckdb

OUTPUTS = """
create temp table events as
select * from read_json('{source}/*.ndjson', format = 'newline_delimited', columns = {{
    event_time: 'TIMESTAMP', user_id: 'VARCHAR', page_url: 'VARCHAR', event_type: 'VARCHAR'}});

create table page_view_counts as
select date_trunc('minute', event_time) as window_start, page_url, count(*) as view_count
from events where event_type = 'page_view' group by all;

create table active_users as
with minutes as (select distinct date_trunc('minute', event_time) as minute, user_id from events)
select minute - to_minutes(back) as window_start,
       approx_count_distinct(user_id) as active_user_count
from minutes, range(5) as steps (back) group by all;

create table user_sessions as
with marked as (
    select *, event_type = 'session_start'
        or coalesce(lag(event_type) over one_user = 'session_end', true)
        or event_time - lag(event_time) over one_user >= interval 30 minutes as begins
    from events
    window one_user as (partition by user_id order by event_time)),
numbered as (
    select *, count_if(begins) over (partition by user_id order by event_time) as number
    from marked),
sessions as (
    select user_id, number, min(event_time) as session_start_time,
           max(event_time) as session_end_time, count(*) as event_count,
           bool_or(event_type = 'session_end') as ended
    from numbered group by user_id, number having bool_or(event_type = 'session_start'))
select * exclude (number) from sessions
qualify row_number() over (partition by user_id order by session_start_time desc) = 1;

copy (select *, event_time::date as event_date from events)
to '{target}/lake' (format parquet, partition_by (event_date));

copy (select *, now() as processing_time from events)
to '{target}/enriched_activity.ndjson' (format json);
"""


def main(source: str, target: str) -> None:
    Path(target).mkdir(parents=True)
    begun = time.perf_counter()
    with duckdb.connect(f"{target}/results.duckdb") as connection:
        connection.execute(OUTPUTS.format(source=source, target=target))
    print(json.dumps({"seconds": time.perf_counter() - begun}))


if __name__ == "__main__":
    main(*sys.argv[1:])
