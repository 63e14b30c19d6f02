"""The part of the page that tells where the time of a run goes, by thread and stage."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from benchmarks.measurements import Run, live_runs
from benchmarks.sizes import Sizes

_WORDS = """\
What `headrace run --profile-stages` tells, of the last run of each kind: threads work side by side
and wait for each other, so shares do not add up; CPU is of the stage's own thread. "Other threads"
is what DuckDB and Arrow do in theirs for any of the stages, and what no stage holds: loading,
opening, closing, and in the live run whoever asks and appends in the same process.
"""


def stages(runs: dict[str, list[Run]], sizes: Sizes) -> Iterator[str]:
    """The section as lines of Markdown."""
    count = max(sizes.events)
    caught_up = runs[f"five outputs {count}"][-1]
    yield "## Where the time goes"
    yield ""
    yield _WORDS
    yield f"Five outputs from the log, {count:,} events:"
    yield ""
    yield from _table(caught_up["report"]["stages"], caught_up, count, "µs/event", 1e6)
    name, rate, _ = live_runs(sizes)[0]
    live = runs[name][0]
    yield f"Live at {rate:,} events/s, {live['epochs']:,} epochs:"
    yield ""
    yield from _table(live["stages"], live, live["epochs"], "ms/epoch", 1e3)


def _table(
    spent: list[dict[str, Any]], run: Run, count: int, unit: str, scale: float
) -> Iterator[str]:
    yield f"| thread | stage | share of the time | CPU {unit} | of all CPU |"
    yield "|---|---|---|---|---|"
    whole, cpu = run["wall_seconds"], run["cpu_seconds"]
    threads = list(dict.fromkeys(s["thread"] for s in spent))
    for one in sorted(spent, key=lambda s: (threads.index(s["thread"]), -s["seconds"])):
        yield _row(
            (one["thread"], one["stage"], f"{one['seconds'] / whole:.0%}"),
            one["own_cpu_seconds"],
            (count, scale, cpu),
        )
    others = cpu - sum(s["own_cpu_seconds"] for s in spent)
    yield _row(("other threads", "", ""), others, (count, scale, cpu))
    yield _row(("**all**", "", ""), cpu, (count, scale, cpu))
    yield ""


def _row(cells: tuple[str, ...], own: float, of: tuple[int, float, float]) -> str:
    count, scale, whole = of
    return f"| {' | '.join([*cells, f'{own / count * scale:.3g}', f'{own / whole:.0%}'])} |"
