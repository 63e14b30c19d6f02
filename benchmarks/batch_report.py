"""The part of the page that tells of the two DuckDB scripts."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.cells import met, middle, peak
from benchmarks.goals import BATCHES
from benchmarks.measurements import Run
from benchmarks.sizes import Sizes

_WORDS = """\
Two DuckDB scripts do the same five outputs once, over the same events as NDJSON files, and give no
guarantee: nothing is recoverable, nothing is kept apart by epochs, nothing can arrive later.
`benchmarks/peers/duckdb_batch.py` is written as a user would; `duckdb_batch_fast.py` as fast as it
can be made to go, the yardstick for what the machine gives. Their speed counts because their rows
are ours:
"""
SCRIPTS = {"peer": "the plain script", "fastest": "the fastest script"}


def batches(runs: dict[str, list[Run]], sizes: Sizes) -> Iterator[str]:
    """The section as lines of Markdown."""
    measured = [(n, name) for n in sizes.events for name in SCRIPTS if f"rows {name} {n}" in runs]
    if not measured:
        return
    yield "## Beside a batch"
    yield ""
    yield _WORDS
    yield "| events | script | page_view_counts | active_users | user_sessions |"
    yield "|---|---|---|---|---|"
    for count, name in measured:
        tables = runs[f"rows {name} {count}"][0].values()
        cells = [f"{t['equal']:,} of {t['ours']:,} rows" for t in tables]
        yield f"| {count:,} | {SCRIPTS[name]} | {' | '.join(cells)} |"
    yield ""
    yield "By the medians, Headrace against each:"
    yield ""
    yield "| events | script | speed | goal | CPU | memory |"
    yield "|---|---|---|---|---|---|"
    for count, name in measured:
        ours, theirs = runs[f"five outputs {count}"], runs[f"{name} {count}"]
        speed = middle(ours, "events_per_second") / middle(theirs, "events_per_second")
        cpu = middle(ours, "cpu_us_per_event") / middle(theirs, "cpu_us_per_event")
        memory = peak(ours, "peak_mib") / peak(theirs, "peak_mib")
        goal = BATCHES[name]
        cells = [
            f"{count:,}",
            SCRIPTS[name],
            f"**{speed:.2f}×**",
            met(speed >= goal, f"≥ {goal:g}×"),
            f"{cpu:.2f}×",
            f"{memory:.2f}×",
        ]
        yield f"| {' | '.join(cells)} |"
    yield ""
