"""Runs the activity app over very many events, which come as fast as it takes them, with retention.

One process is the job, another appends; the log is never more than some seconds ahead. Memory, the
size of the log and the records read are looked at once a second.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.activity_five import activity_app
from benchmarks.process_tree import status_kib
from benchmarks.sizes import TOPIC
from headrace.ops.jobs.running import RunningApp, start_app
from headrace.storage.layout import DataDirectory
from headrace.storage.topics.log import LocalTopic
from headrace.values.settings import load_settings

_AHEAD_RECORDS, _BATCHES_AT_ONCE = 1_000_000, 5
_RETENTION_BYTES = 1 << 30
_LOOK_SECONDS, _PAUSE_SECONDS = 1.0, 0.1

Look = dict[str, float]


def main(data: str, told: str) -> None:
    directory, count = DataDirectory(Path(data)), int(told)
    directory.topics.mkdir(parents=True, exist_ok=True)
    LocalTopic.ensure(directory.topics, TOPIC, 3)
    settings = load_settings(overrides={"data": Path(data), "retention_bytes": _RETENTION_BYTES})
    command = [sys.executable, "-m", "benchmarks.measure.feeding", data, told]
    with (
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as feeder,
        start_app(activity_app(enriched=False).plan, settings) as running,
    ):
        cpu = time.process_time()
        looks = _followed(running, _asking(feeder), count, directory.topics / TOPIC)
        profile = {
            "seconds": looks[-1]["seconds"],
            "cpu_seconds": time.process_time() - cpu,
            "stages": running.status()[0]["stages"],
        }
    print(json.dumps({"seconds": looks[-1]["seconds"], "looks": looks, "profile": profile}))


def _asking(feeder: subprocess.Popen[str]) -> Callable[[], int]:
    """Has some batches appended; returns how many records there are then."""
    assert feeder.stdin is not None and feeder.stdout is not None
    to, answers = feeder.stdin, feeder.stdout

    def ask() -> int:
        to.write("\n" * _BATCHES_AT_ONCE)
        to.flush()
        there = [answers.readline() for _ in range(_BATCHES_AT_ONCE)]
        # The last batches of all are fewer.
        return max((int(line) for line in there if line), default=0)

    return ask


def _followed(running: RunningApp, ask: Callable[[], int], count: int, log: Path) -> list[Look]:
    """Feeds the job until it has read `count` records; what was seen meanwhile."""
    looks: list[Look] = []
    appended, begun = 0, time.perf_counter()
    while True:
        (source,) = running.status()[0]["sources"]
        seconds = time.perf_counter() - begun
        if not looks or seconds - looks[-1]["seconds"] >= _LOOK_SECONDS or source["read"] >= count:
            resident, own = status_kib(os.getpid())
            size = sum(f.stat().st_size for f in log.rglob("*") if f.is_file())
            kept = {"resident_mib": resident / 1024, "anonymous_mib": own / 1024}
            looks.append(
                {"seconds": seconds, "read": source["read"], "log_mib": size / 2**20} | kept
            )
        if source["read"] >= count:
            return looks
        if appended < count and appended - source["read"] < _AHEAD_RECORDS:
            appended = max(appended, ask())
        else:
            time.sleep(_PAUSE_SECONDS)


if __name__ == "__main__":
    main(*sys.argv[1:])
