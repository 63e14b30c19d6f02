"""Runs the five outputs over a log until caught up, in one fresh process."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from benchmarks.activity_five import app
from headrace.storage.layout import DataDirectory
from headrace.storage.topics.log import LocalTopic


def main(data: str) -> None:
    topics = DataDirectory(Path(data)).topics
    records = sum(LocalTopic.open(topics, "user_activity").end_offsets())
    begun = time.perf_counter()
    app.run(until="caught-up", data=data)
    seconds = time.perf_counter() - begun
    print(json.dumps({"records": records, "seconds": seconds}))


if __name__ == "__main__":
    main(*sys.argv[1:])
