"""The events that everyone reads: from `headrace simulate`, as a log, as files, in Kafka."""

from __future__ import annotations

import shutil
from pathlib import Path

from benchmarks import children
from benchmarks.children import MeasurementFailed
from benchmarks.fed import Fed
from benchmarks.runs import Run
from benchmarks.sizes import APP

# Events a second by day, on the average of a whole day: a hundred million fit into two days.
RATE, SEED = 550, 7


def simulate(data: Path, count: int, *options: str) -> Fed:
    """Appends `count` events to the topic of `data`, none late, none malformed."""
    fixed = ["--count", count, "--rate", RATE, "--seed", SEED, "--late-every", 0]
    made = children.headrace("simulate", APP, *fixed, *options, "--data", data).report
    outcome = made["outcome"]
    if any(outcome["late"].values()) or outcome["accepted"] != count:
        raise MeasurementFailed(f"the input is not as it should be: {outcome}")
    return Fed(count, outcome["events"]["page_view"])


def to_files(data: Path, files: Path) -> Run:
    """Writes the events of `data` as NDJSON files, in the order of arrival; what they are like."""
    found: Run = children.python("benchmarks.measure.files", data, files).report
    return found


def forget_results(data: Path) -> None:
    """Leaves the log alone: everything that a run makes is removed."""
    for part in ("jobs", "lakes", "topics/enriched_activity"):
        shutil.rmtree(data / part, ignore_errors=True)
