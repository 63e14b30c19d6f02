"""Quix Streams: from Kafka into files, in one process.

Another key is another topic in Kafka (`group_by`). A window is written with each change. Of the
five outputs distinct users are left out: a state of thousands of users would be written again with
each message. Sessions go by their marks, as a stateful function.

Arguments: `five` or `count`, servers/topic, a directory to make, how many events.
"""

import json
import os
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from quixstreams import Application, State
from quixstreams.dataframe import StreamingDataFrame
from quixstreams.sinks.community.file.local import LocalFileSink

# It never ends by itself: it ends when no message came for this long, which is not counted.
QUIET_SECONDS = 5.0
GAP_MS = 30 * 60_000
# Read from its beginning, a topic's partitions drift apart by minutes, and `group_by` mixes them:
# with a grace of two minutes a third of the page views was dropped.
GRACE = timedelta(minutes=30)


def event_ms(value: dict, *_: object) -> int:
    return int(datetime.fromisoformat(value["event_time"]).timestamp() * 1000)


def session_of(event: dict, state: State) -> list[dict]:
    """The row that this event makes of its user's latest session, if it belongs to one."""
    at, kind = event_ms(event), event["event_type"]
    session = state.get("session")
    if kind == "session_start":
        session = {"begun": at, "events": 0, "open": True}
    elif session is None or not session["open"]:
        return []
    elif at - session["last"] >= GAP_MS:
        state.set("session", session | {"open": False})
        return []
    session |= {"last": at, "events": session["events"] + 1, "open": kind != "session_end"}
    state.set("session", session)
    return [
        {
            "user_id": event["user_id"],
            "session_start_time": session["begun"],
            "event_count": session["events"],
        }
    ]


def five(events: StreamingDataFrame) -> None:
    sessions = events.apply(session_of, stateful=True, expand=True)
    sessions.sink(LocalFileSink(directory="user_sessions"))
    lake = events.apply(lambda e: e | {"event_date": e["event_time"][:10]})
    lake.sink(LocalFileSink(directory="lake", format="parquet"))
    enriched = events.apply(lambda e: e | {"processing_time": datetime.now(UTC).isoformat()})
    enriched.sink(LocalFileSink(directory="enriched_activity"))
    count(events)


def count(events: StreamingDataFrame) -> None:
    views = events[events["event_type"] == "page_view"].group_by("page_url")
    windows = views.tumbling_window(timedelta(minutes=1), grace_ms=GRACE).count()
    rows = windows.current().apply(
        lambda row, key, *_: {
            "window_start": row["start"],
            "page_url": key if isinstance(key, str) else key.decode(),
            "view_count": row["value"],
        },
        metadata=True,
    )
    rows.sink(LocalFileSink(directory="page_view_counts"))


def main(pipeline: str, source: str, target: str, _events: str) -> None:
    begun, directory = time.perf_counter(), Path(target)
    servers, _, name = source.partition("/")
    directory.mkdir(parents=True)
    os.chdir(directory)  # its sink takes no path with a hyphen in it
    app = Application(
        broker_address=servers,
        consumer_group=directory.parent.name + directory.name,
        auto_offset_reset="earliest",
        state_dir="state",
        loglevel="WARNING",
        # Without it the client waits up to a second when its queue was full.
        consumer_extra_config={"fetch.queue.backoff.ms": 5},
    )
    topic = app.topic(name, value_deserializer="json", timestamp_extractor=event_ms)
    {"count": count, "five": five}[pipeline](app.dataframe(topic))
    app.run(timeout=QUIET_SECONDS)
    seconds = time.perf_counter() - begun - QUIET_SECONDS
    print(json.dumps({"seconds": [seconds], "quiet": QUIET_SECONDS}))


if __name__ == "__main__":
    main(*sys.argv[1:])
