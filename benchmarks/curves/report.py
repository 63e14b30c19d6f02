"""The curves as tables: what an event costs as one thing grows."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from statistics import median
from typing import Any

from benchmarks.curves.points import Point, points
from benchmarks.peer_report import NO_CHART
from benchmarks.sizes import Sizes

CHART = "performance-curves.svg"
_HEAD = """\
One small app over events of 120 bytes, 33,000 a minute of their own time, a thousand keys, three
partitions, one tumbling count and sum by key and minute; one thing is varied at a time. "Keys"
are those of one running total, of which the second half of the events changes every one once
more. "Open windows" are of a second, each of ten keys, and any event may fall into any of them.
"""
_LABELS = {
    "events": "events in the log",
    "keys": "keys of state",
    "partitions": "partitions",
    "views": "views of the app",
    "open windows": "windows open at once",
    "event bytes": "bytes of an event",
}


def curves(runs: dict[str, list[dict[str, Any]]], sizes: Sizes) -> Iterator[str]:
    """The section of the page, nothing where no curve was measured."""
    measured = [p for p in points(sizes.curve_events, sizes.curve_keys) if p.name in runs]
    if not measured:
        return
    yield "## How the cost grows"
    yield ""
    yield _HEAD
    if NO_CHART not in runs:
        yield f"![CPU per event as one thing grows]({CHART})"
        yield ""
    for name, of in groupby(measured, lambda p: p.curve):
        yield f"| {_LABELS[name]} | events | events/s | CPU µs/event | MB/s | peak MiB |"
        yield "|---|---|---|---|---|---|"
        for point in of:
            yield _row(point, runs[point.name])
        yield ""


def lines(runs: dict[str, list[dict[str, Any]]], sizes: Sizes) -> list[dict[str, Any]]:
    """For each curve its title and its points: what was varied, CPU µs per event."""
    found = []
    for name, of in groupby(points(sizes.curve_events, sizes.curve_keys), lambda p: p.curve):
        line = [(p.value, _cpu(runs[p.name])) for p in of if p.name in runs]
        if line:
            found.append({"title": f"{_LABELS[name]}: CPU µs/event", "line": line})
    return found


def _cpu(found: list[dict[str, Any]]) -> float:
    return float(median(run["cpu_us_per_event"] for run in found))


def _row(point: Point, found: list[dict[str, Any]]) -> str:
    rate = median(run["events_per_second"] for run in found)
    cells = [
        f"{point.value:,}",
        f"{point.events:,}",
        f"{rate / 1e6:.2f} M",
        f"{_cpu(found):.2f}",
        f"{rate * point.event_bytes / 1e6:,.0f}",
        f"{max(run['peak_mib'] for run in found):,.0f}",
    ]
    return f"| {' | '.join(cells)} |"
