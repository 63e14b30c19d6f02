"""Pathway: files in, files out, on two threads, in the mode that reads what is there and ends.

Windows have no behaviour: a cutoff makes Pathway drop events that come in time. Sessions are gap
sessions (a session's predicate sees two times and no marks). Tables are written as JSON lines,
Parquet by a callback, since the sink for Delta tables asks for a licence.

Arguments: `five` or `count`, a directory of NDJSON files, a directory to make, how many events.
"""

import json
import os
import sys
import time
from datetime import timedelta
from pathlib import Path

import pathway as pw
import pyarrow as pa
import pyarrow.parquet as pq

ROWS_A_GROUP = 100_000
TIME = "%Y-%m-%dT%H:%M:%S.%fZ"


class Activity(pw.Schema):
    event_time: str
    user_id: str
    page_url: str
    event_type: str


class Lake:
    """Rows that a callback gives, one by one, as Parquet files by day."""

    def __init__(self, directory: Path) -> None:
        self.directory, self.rows, self.written = directory, [], 0

    def on_change(self, key, row, time, is_addition) -> None:
        self.rows.append(row)
        if len(self.rows) == ROWS_A_GROUP:
            self.write()

    def write(self) -> None:
        if self.rows:
            table = pa.Table.from_pylist(self.rows)
            name = f"part-{self.written}-{{i}}.parquet"
            pq.write_to_dataset(
                table, self.directory, partition_cols=["event_date"], basename_template=name
            )
            self.rows, self.written = [], self.written + 1


def count(events: pw.Table, target: Path) -> None:
    views = events.filter(pw.this.event_type == "page_view")
    minutes = pw.temporal.tumbling(duration=timedelta(minutes=1))
    rows = views.windowby(views.at, window=minutes, instance=views.page_url).reduce(
        window_start=pw.this._pw_window_start,
        page_url=pw.this._pw_instance,
        view_count=pw.reducers.count(),
    )
    pw.io.jsonlines.write(rows, target / "page_view_counts.jsonl")


def five(events: pw.Table, target: Path) -> None:
    count(events, target)
    minutes = pw.temporal.sliding(hop=timedelta(minutes=1), duration=timedelta(minutes=5))
    users = events.windowby(events.at, window=minutes).reduce(
        window_start=pw.this._pw_window_start,
        active_user_count=pw.reducers.count_distinct_approximate(pw.this.user_id),
    )
    pw.io.jsonlines.write(users, target / "active_users.jsonl")
    gap = pw.temporal.session(max_gap=timedelta(minutes=30))
    sessions = events.windowby(events.at, window=gap, instance=events.user_id).reduce(
        user_id=pw.this._pw_instance,
        session_start_time=pw.this._pw_window_start,
        event_count=pw.reducers.count(),
    )
    pw.io.jsonlines.write(sessions, target / "user_sessions.jsonl")
    fields = (pw.this.event_time, pw.this.user_id, pw.this.page_url, pw.this.event_type)
    lake = Lake(target / "lake")
    dated = events.select(*fields, event_date=pw.this.event_time.str.slice(0, 10))
    pw.io.subscribe(dated, lake.on_change, on_end=lake.write)
    # Its sink adds `time`, when the row was processed.
    pw.io.jsonlines.write(events.select(*fields), target / "enriched_activity.jsonl")


def main(pipeline: str, source: str, target: str, _events: str) -> None:
    begun, directory = time.perf_counter(), Path(target)
    directory.mkdir(parents=True)
    os.environ["PATHWAY_THREADS"] = "2"
    read = pw.io.jsonlines.read(source, schema=Activity, mode="static")
    events = read.with_columns(at=pw.this.event_time.dt.strptime(TIME))
    {"count": count, "five": five}[pipeline](events, directory)
    pw.run(monitoring_level=pw.MonitoringLevel.NONE)
    print(json.dumps({"seconds": [time.perf_counter() - begun]}))


if __name__ == "__main__":
    main(*sys.argv[1:])
