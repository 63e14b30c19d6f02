"""The events that everyone reads: from `headrace simulate`, as a log, as files, in Kafka."""

from __future__ import annotations

import shutil
from pathlib import Path

from benchmarks import children
from benchmarks.sizes import APP

# 33,000 events a minute of their own time: a hundred million fit into two days.
RATE, SEED = 550, 7


def simulate(data: Path, count: int, *options: str) -> None:
    """Appends `count` events to the topic of `data`, none late, none malformed."""
    fixed = ["--count", count, "--rate", RATE, "--seed", SEED, "--late-every", 0]
    children.headrace("simulate", APP, *fixed, *options, "--data", data)


def export(data: Path, files: Path) -> None:
    """Writes the events of `data` as NDJSON files, in the order of arrival."""
    children.python("benchmarks.measure.export", data, files)


def forget_results(data: Path) -> None:
    """Leaves the log alone: everything that a run makes is removed."""
    for part in ("jobs", "lakes", "topics/enriched_activity"):
        shutil.rmtree(data / part, ignore_errors=True)
