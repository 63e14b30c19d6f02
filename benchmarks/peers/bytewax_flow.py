"""Bytewax: a file in, files out, with one worker or several in one process.

One worker reads, as there is one file: of several, those that read run apart, and much of the input
is late.

Counts and distinct users are gathered for each batch of lines before windows see them; users are
counted exactly, in sets. Sessions go by their marks, as states of one's own. There is no sink for
Parquet: it is written with pyarrow. No recovery store is kept.

Arguments: `five` or `count`, an NDJSON file, a directory to make, how many events, how many
workers.
"""

import json
import sys
import time
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import bytewax.operators as op
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from bytewax.connectors.files import FileSource
from bytewax.dataflow import Dataflow, Stream
from bytewax.operators import windowing as win
from bytewax.operators.windowing import EventClock, SlidingWindower, TumblingWindower
from bytewax.outputs import DynamicSink, StatelessSinkPartition
from bytewax.testing import cluster_main, run_main

LINES_A_BATCH = 10_000
MINUTE, GAP = timedelta(minutes=1), timedelta(minutes=30)
ZERO = datetime(2026, 1, 1, tzinfo=UTC)
# What windows see: a minute and what was gathered in it.
CLOCK = EventClock(lambda pair: pair[0], wait_for_system_duration=timedelta(minutes=2))


@dataclass
class JsonLines(DynamicSink):
    """A file of each worker, an item a line."""

    path: Path

    def build(self, step_id: str, worker_index: int, worker_count: int) -> StatelessSinkPartition:
        return JsonFile(self.path.with_stem(f"{self.path.stem}-{worker_index}").open("wb"))


@dataclass
class JsonFile(StatelessSinkPartition):
    file: object

    def write_batch(self, items: list) -> None:
        self.file.write(b"".join(orjson.dumps(i, option=orjson.OPT_APPEND_NEWLINE) for i in items))

    def close(self) -> None:
        self.file.close()


@dataclass
class Lake(DynamicSink):
    """Parquet files of each worker by day, a row group a batch."""

    directory: Path

    def build(self, step_id: str, worker_index: int, worker_count: int) -> StatelessSinkPartition:
        self.directory.mkdir(exist_ok=True)
        return LakeFiles(self.directory, worker_index)


class LakeFiles(StatelessSinkPartition):
    def __init__(self, directory: Path, worker: int) -> None:
        self.directory, self.worker, self.files = directory, worker, {}

    def write_batch(self, items: list[dict]) -> None:
        days = defaultdict(list)
        for event in items:
            days[event["event_time"][:10]].append(event)
        for day, rows in days.items():
            table = pa.Table.from_pylist(rows)
            if day not in self.files:
                path = self.directory / f"event_date={day}-{self.worker}.parquet"
                self.files[day] = pq.ParquetWriter(path, table.schema)
            self.files[day].write_table(table)

    def close(self) -> None:
        for file in self.files.values():
            file.close()


class Session(op.StatefulBatchLogic):
    """The latest session of one user; what a batch of events made of it is one row."""

    def __init__(self, state: tuple | None) -> None:
        self.begun, self.last, self.events, self.open = state or (None, None, 0, False)

    def on_batch(self, values: list[tuple[datetime, str]]) -> tuple[list[tuple], bool]:
        for at, kind in values:
            if kind == "session_start":
                self.begun, self.events, self.open = at, 0, True
            elif self.open and at - self.last >= GAP:
                self.open = False
            if self.open:
                self.last, self.events = at, self.events + 1
                self.open = kind != "session_end"
        rows = [(self.begun, self.events)] if self.begun else []
        return rows, op.StatefulBatchLogic.RETAIN

    def snapshot(self) -> tuple:
        return self.begun, self.last, self.events, self.open


def page_view_counts(events: Stream, target: Path) -> None:
    def gathered(batch: list[dict]) -> list[tuple]:
        views = (e for e in batch if e["event_type"] == "page_view")
        counts = Counter((e["event_time"][:16], e["page_url"]) for e in views)
        return [
            (page, (datetime.fromisoformat(f"{minute}:00+00:00"), n))
            for (minute, page), n in counts.items()
        ]

    counts = op.flat_map_batch("views", events, gathered)
    windows = TumblingWindower(length=MINUTE, align_to=ZERO)
    out = win.fold_window(
        "count", counts, CLOCK, windows, int, lambda n, pair: n + pair[1], int.__add__
    )
    row = op.map(
        "counted",
        out.down,
        lambda item: {
            "window_start": ZERO + item[1][0] * MINUTE,
            "page_url": item[0],
            "view_count": item[1][1],
        },
    )
    op.output("page_view_counts", row, JsonLines(target / "page_view_counts.jsonl"))


def active_users(events: Stream, target: Path) -> None:
    def gathered(batch: list[dict]) -> list[tuple]:
        minutes = defaultdict(set)
        for event in batch:
            minutes[event["event_time"][:16]].add(event["user_id"])
        return [
            ("all", (datetime.fromisoformat(f"{minute}:00+00:00"), users))
            for minute, users in minutes.items()
        ]

    def joined(users: set, pair: tuple) -> set:
        users |= pair[1]
        return users

    users = op.flat_map_batch("users", events, gathered)
    windows = SlidingWindower(length=5 * MINUTE, offset=MINUTE, align_to=ZERO)
    out = win.fold_window("distinct", users, CLOCK, windows, set, joined, set.union)
    row = op.map(
        "distinct_users",
        out.down,
        lambda item: {
            "window_start": ZERO + item[1][0] * MINUTE,
            "active_user_count": len(item[1][1]),
        },
    )
    op.output("active_users", row, JsonLines(target / "active_users.jsonl"))


def user_sessions(events: Stream, target: Path) -> None:
    keyed = op.map(
        "by_user",
        events,
        lambda e: (e["user_id"], (datetime.fromisoformat(e["event_time"]), e["event_type"])),
    )
    sessions = op.stateful_batch("sessions", keyed, Session)
    row = op.map(
        "session",
        sessions,
        lambda item: {
            "user_id": item[0],
            "session_start_time": item[1][0],
            "event_count": item[1][1],
        },
    )
    op.output("user_sessions", row, JsonLines(target / "user_sessions.jsonl"))


def flow(pipeline: str, source: Path, target: Path) -> Dataflow:
    flow = Dataflow("activity")
    lines = op.input("lines", flow, FileSource(source, batch_size=LINES_A_BATCH))
    events = op.flat_map_batch("parse", lines, lambda batch: [orjson.loads(li) for li in batch])
    page_view_counts(events, target)
    if pipeline == "five":
        active_users(events, target)
        user_sessions(events, target)
        op.output("lake", events, Lake(target / "lake"))
        enriched = op.map("enrich", events, lambda e: e | {"processing_time": datetime.now(UTC)})
        op.output("enriched", enriched, JsonLines(target / "enriched_activity.jsonl"))
    return flow


def main(pipeline: str, source: str, target: str, _events: str, workers: str) -> None:
    begun, directory = time.perf_counter(), Path(target)
    directory.mkdir(parents=True)
    made = flow(pipeline, Path(source), directory)
    if workers == "1":
        run_main(made)
    else:
        cluster_main(made, [], 0, worker_count_per_proc=int(workers))
    print(json.dumps({"seconds": [time.perf_counter() - begun]}))


if __name__ == "__main__":
    main(*sys.argv[1:])
