"""The part of the page that tells of latency."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.cells import met
from benchmarks.goals import LIVE_MS
from benchmarks.live import live_runs
from benchmarks.runs import Runs
from benchmarks.sizes import LIVE_PACE, Sizes

_WORDS = """\
Events are due at a steady rate, and every 4 ms what is due is appended durably, while the same
process asks for the sum of all counts, with some milliseconds between an answer and the next
question. An event's time runs from when it is due, whether or not an append or a sync holds it up,
to the answer that first counts it; the first two seconds are left out of p50 and p99. CPU is of the
whole process while it is fed, whoever appends and asks included. Who asks seldom sees rows later,
by half the time between questions, and takes less from the job.

The events' own time passes {pace} times as fast: each minute of it, and the windows that end with
it, takes {minute:g} s, at any hour of the day. Nothing is late.
"""
_PARTS = ("append", "query", "epoch")


def live(runs: Runs, sizes: Sizes) -> Iterator[str]:
    """The section as lines of Markdown."""
    if not any(of.name in runs for of in live_runs(sizes)):
        return
    yield "## Latency"
    yield ""
    yield _WORDS.format(pace=LIVE_PACE, minute=60 / LIVE_PACE)
    yield (
        "| events/s | state at the start | asked after ms | p50 ms | goal | p99 ms | goal "
        "| longest ms | append p50/p99 ms | query p50/p99 ms | epoch p50/p99 ms "
        "| events an epoch | CPU cores | others |"
    )
    yield f"|{'---|' * 14}"
    for of in (of for of in live_runs(sizes) if of.name in runs):
        run, profile = runs[of.name][0], runs[of.name][0]["profile"]
        median_max, high_max = LIVE_MS.get(of.rate, (None, None))
        pairs = [f"{run[f'{k}_p50_ms']:.0f} / {run[f'{k}_p99_ms']:.0f}" for k in _PARTS]
        cells = [
            f"{of.rate:,}",
            f"{of.preload:,} events" if of.preload else "empty",
            f"{of.pause_ms}",
            f"{run['p50_ms']:.0f}",
            _goal(run["p50_ms"], median_max),
            f"{run['p99_ms']:.0f}",
            _goal(run["p99_ms"], high_max),
            f"{run['max_ms']:.0f}",
            *pairs,
            f"{run['epoch_records_p50']:,.0f}",
            f"{profile['cpu_seconds'] / profile['seconds']:.1f}",
            f"{run['other_cores']:.1f}",
        ]
        yield f"| {' | '.join(cells)} |"
    yield ""


def _goal(value: float, greatest: float | None) -> str:
    return "–" if greatest is None else met(value <= greatest, f"≤ {greatest:g}")
