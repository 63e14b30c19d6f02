"""The curves as tables: what an event costs as one thing grows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby
from statistics import median
from typing import Any

from benchmarks.curves.points import POINT_SECONDS, Point, points
from benchmarks.peer_report import NO_CHART
from benchmarks.runs import Run, Runs
from benchmarks.sizes import Sizes

CHART = "performance-curves.svg"
_HEAD = """\
One small app over events of 120 bytes, 33,000 a minute of their own time, a thousand keys, three
partitions, one tumbling count and sum by key and minute; one thing is varied at a time. "Keys"
are those of one running total; they come in no order, and the second half of the events changes
every one once more. "Open windows" are of a second, each of ten keys, and any event may fall into
any of them. Each point is run {repeats} times over one log, but not again once that has taken
{seconds} s; rates and CPU are medians.
"""
_LABELS = {
    "events": "events in the log",
    "keys": "keys of state",
    "partitions": "partitions",
    "views": "views of the app",
    "open windows": "windows open at once",
    "event bytes": "bytes of an event",
}
# What of each is not linear, and why.
_WHY = {
    "events": "What a run does once is spread over more events; the log is read from the disk as "
    "far as it is larger than what the page cache keeps.",
    "keys": "Each epoch is joined with the whole state, and writes again what it changes of it: "
    "with few keys that is little, with very many nearly every record changes another row.",
    "partitions": "One thread reads and takes apart all partitions, whatever their number.",
    "views": "Records are read and taken apart once for all views; each adds its own statements "
    "and its own tables.",
    "open windows": "Ten rows for each open window are state, and an epoch changes most of them.",
    "event bytes": "Every byte of a record is looked at: with large ones MB/s is what stays level.",
}
_WAITING = "wait for records"
# Microseconds by whether it is the job's own thread, and stage.
Spent = dict[tuple[bool, str], float]
# Stages of the app's views, which are many.
_VIEW = re.compile(r"(counts_\d+|totals)(: .*)?")


def curves(runs: Runs, sizes: Sizes) -> Iterator[str]:
    """The section of the page, nothing where no curve was measured."""
    measured = [p for p in points(sizes) if p.name in runs]
    if not measured:
        return
    yield "## How the cost grows"
    yield ""
    yield _HEAD.format(repeats=sizes.curve_repeats, seconds=POINT_SECONDS)
    if NO_CHART not in runs:
        yield f"![CPU per event, and events per second, as one thing grows]({CHART})"
        yield ""
    for name, of in groupby(measured, lambda p: p.curve):
        those = list(of)
        yield (
            f"| {_LABELS[name]} | events | runs | events/s | CPU µs/event | MB/s | peak MiB "
            "| others |"
        )
        yield "|---|---|---|---|---|---|---|---|"
        for point in those:
            yield _row(point, runs[point.name])
        yield ""
        yield f"{_WHY[name]} {_apart(those, runs)}"
        yield ""


def _apart(points: list[Point], runs: Runs) -> str:
    """How far the dearest point and the last are from the cheapest, and where that time goes."""
    spent = {point: _spent_us(runs[point.name][-1], point.events) for point in points}
    takes = {point: sum(us for (own, _), us in spent[point].items() if own) for point in points}
    least, most = (of(points, key=lambda p: takes[p]) for of in (min, max))
    words = [f"Here an event takes {takes[least]:.2f} µs at {least.value:,}"]
    for other in dict.fromkeys((most, points[-1])):
        if other != least:
            more = _more(spent[least], spent[other])
            words.append(f"{takes[other]:.2f} at {other.value:,}, of which {more}")
    return "; ".join(words) + "."


def _more(one: Spent, other: Spent) -> str:
    """What of the job's thread grew the most; of waiting for records, what of reading did."""

    def largest(own: bool) -> tuple[str, float]:
        names = {name for of, name in (*one, *other) if of == own}
        grew = {n: other.get((own, n), 0.0) - one.get((own, n), 0.0) for n in names}
        name = max(grew, key=lambda n: grew[n])
        return name, grew[name]

    name, us = largest(True)
    found = f"{us:+.2f} in *{name}*"
    if name == _WAITING:
        found += " ({} {:+.2f})".format(*largest(False))
    return found


def _spent_us(run: Run, events: int) -> Spent:
    """The time of an event, by whether the job's thread spent it, one thing after the other."""
    profile = run["report"]["profile"]
    parts: Spent = {}
    for stage in profile["stages"]:
        name = "computing the views" if _VIEW.fullmatch(stage["stage"]) else stage["stage"]
        key = (stage["thread"] == "job", name)
        parts[key] = parts.get(key, 0.0) + stage["seconds"]
    whole = sum(seconds for (own, _), seconds in parts.items() if own)
    parts[True, "start and end"] = profile["seconds"] - whole
    return {key: seconds / events * 1e6 for key, seconds in parts.items()}


def lines(runs: Runs, sizes: Sizes) -> list[dict[str, Any]]:
    """For each curve its title and its points: what was varied, CPU µs per event, events/s."""
    found = []
    for name, of in groupby(points(sizes), lambda p: p.curve):
        there = [p for p in of if p.name in runs]
        line = [(p.value, _cpu(runs[p.name]), _rate(runs[p.name])) for p in there]
        if line:
            found.append({"title": _LABELS[name], "line": line})
    return found


def _cpu(found: list[Run]) -> float:
    return float(median(run["cpu_us_per_event"] for run in found))


def _rate(found: list[Run]) -> float:
    return float(median(run["events_per_second"] for run in found))


def _row(point: Point, found: list[Run]) -> str:
    rate = _rate(found)
    cells = [
        f"{point.value:,}",
        f"{point.events:,}",
        f"{len(found)}",
        f"{rate / 1e6:.2f} M",
        f"{_cpu(found):.2f}",
        f"{rate * point.event_bytes / 1e6:,.0f}",
        f"{max(run['peak_mib'] for run in found):,.0f}",
        f"{max(run['other_cores'] for run in found):.1f}",
    ]
    return f"| {' | '.join(cells)} |"
