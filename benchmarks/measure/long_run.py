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
from pathlib import Path

from benchmarks.activity_five import activity_app
from benchmarks.measure.made import VIEWS, asker, made
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
        fed = Feeder(feeder)
        looks = _followed(running, fed, count, directory.topics / TOPIC)
        profile = {
            "seconds": looks[-1]["seconds"],
            "cpu_seconds": time.process_time() - cpu,
            "stages": running.status()[0]["stages"],
        }
        came = made(running, asker(running, settings, VIEWS)(), delivered=False)
    told = {"seconds": looks[-1]["seconds"], "looks": looks, "profile": profile}
    print(json.dumps(told | {"made": came, "page_views": fed.page_views}))


class Feeder:
    """The process that appends; `appended` and `page_views` are there already."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None and process.stdout is not None
        self._to, self._answers = process.stdin, process.stdout
        self.appended, self.page_views = 0, 0

    def ask(self) -> None:
        """Has some batches appended; the last of all are fewer."""
        self._to.write("\n" * _BATCHES_AT_ONCE)
        self._to.flush()
        for line in [self._answers.readline() for _ in range(_BATCHES_AT_ONCE)]:
            if line:
                self.appended, self.page_views = map(int, line.split())


def _followed(running: RunningApp, feeder: Feeder, count: int, log: Path) -> list[Look]:
    """Feeds the job until it has read `count` records; what was seen meanwhile."""
    looks: list[Look] = []
    begun = time.perf_counter()
    while True:
        # Raises what ended the job.
        if running.wait(0):
            sys.exit("the job has ended before it had read all")
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
        if feeder.appended < count and feeder.appended - source["read"] < _AHEAD_RECORDS:
            feeder.ask()
        else:
            time.sleep(_PAUSE_SECONDS)


if __name__ == "__main__":
    main(*sys.argv[1:])
