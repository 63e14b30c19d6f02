"""The part of the page that tells of the two DuckDB scripts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from benchmarks import faithful
from benchmarks.cells import met, middle, peak
from benchmarks.goals import BATCHES
from benchmarks.runs import Runs
from benchmarks.sizes import Sizes

_WORDS = """\
Two DuckDB scripts do the same five outputs once, over the same events as NDJSON files, and give no
guarantee: nothing is recoverable, nothing is kept apart by epochs, nothing can arrive later.
`benchmarks/peers/duckdb_batch.py` is written as a user would; `duckdb_batch_fast.py` as fast as it
can be made to go, the yardstick for what the machine gives. They and Headrace run in turns. Their
speed counts only where their rows are ours, none more and none less (of the lake and the enriched
stream by a sum over all events; sessions with their ends by a mark and their durations):
"""
_SPEEDS = """\
By the medians, Headrace against each. The scripts begin with the files, so like is compared with
like where Headrace does too: `ingest`, then the five outputs, the durable log between. From the log
is the way of events that have come already. Both are held against the goals:
"""
SCRIPTS = {"plain": "the plain script", "fastest": "the fastest script"}
WAYS = {"five outputs": "from the log", "both": "from NDJSON"}


def batches(runs: Runs, sizes: Sizes) -> Iterator[str]:
    """The section as lines of Markdown."""
    measured = [(n, name) for n in sizes.events for name in SCRIPTS if f"{name} {n}" in runs]
    if not measured:
        return
    yield "## Beside a batch"
    yield ""
    yield _WORDS
    yield from _rows(runs, sizes)
    yield _SPEEDS
    yield "| events | script | Headrace | speed | goal | CPU | memory |"
    yield "|---|---|---|---|---|---|---|"
    for count, name in measured:
        for way in (way for way in WAYS if f"{way} {count}" in runs):
            yield _speed(runs, count, name, way)
    yield ""


def _rows(runs: Runs, sizes: Sizes) -> Iterator[str]:
    yield "| events | rows of | page_view_counts | active_users | user_sessions | lake | enriched |"
    yield "|---|---|---|---|---|---|---|"
    for count in sizes.events:
        for name, label in (*SCRIPTS.items(), ("both", "Headrace, from NDJSON")):
            for found in runs.get(f"rows {name} {count}", []):
                yield f"| {count:,} | {label} | {' | '.join(map(_told, found.values()))} |"
    yield ""


def _told(table: dict[str, Any]) -> str:
    """That rows are the same, or how they are not."""
    if faithful.same_output(table):
        return f"{table['ours']:,}: the same"
    equal = f"{table['equal']:,} equal" if "equal" in table else "not all the same"
    return f"**{table['theirs']:,} beside {table['ours']:,}, {equal}**"


def _speed(runs: Runs, count: int, name: str, way: str) -> str:
    ours, theirs = runs[f"{way} {count}"], runs[f"{name} {count}"]
    cells = [f"{count:,}", SCRIPTS[name], WAYS[way]]
    if not faithful.compared(runs, f"{name} {count}"):
        return f"| {' | '.join([*cells, 'its rows are not ours', '–', '–', '–'])} |"
    speed = middle(ours, "events_per_second") / middle(theirs, "events_per_second")
    cpu = middle(ours, "cpu_us_per_event") / middle(theirs, "cpu_us_per_event")
    memory = peak(ours, "peak_mib") / peak(theirs, "peak_mib")
    goal = BATCHES[name]
    cells += [f"**{speed:.2f}×**", met(speed >= goal, f"≥ {goal:g}×")]
    return f"| {' | '.join([*cells, f'{cpu:.2f}×', f'{memory:.2f}×'])} |"
