"""The runs as a page for people."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from benchmarks import goals
from benchmarks.batch_report import batches
from benchmarks.cells import cell, met, middle, peak
from benchmarks.connected_report import connected
from benchmarks.curves.report import curves
from benchmarks.goals_report import all_goals
from benchmarks.live_report import live
from benchmarks.long_report import long_form
from benchmarks.peer_report import peers
from benchmarks.runs import FAILED, Runs
from benchmarks.sizes import Sizes
from benchmarks.stages_report import stages
from benchmarks.versions import About

_NOISE_CORES_MAX = 0.2

_HEAD = """\
# Performance

Written by `make bench`; the numbers of every run are in `build/bench-results.json`.
Each measurement is a process of its own. Short ones are repeated; a cell shows the best and the
median of the runs, or the only one. Rates are of the work itself, without the start of Python;
CPU is of the whole process, and steadier than rates: the column "others" says how many cores
the rest of the machine used meanwhile. Input comes from `headrace simulate`, nothing of it late,
nothing malformed, and is warm in the page cache for everyone alike.
"""
_COMMANDS = """\
## Again

```
make bench
BENCH_EVENTS=100000000 BENCH_MANY_REPEATS=1 make bench
BENCH_PEERS=spark,flink make bench
BENCH_LONG=300000000 make bench
BENCH_EVENTS=1000000 BENCH_REPEATS=5 BENCH_LIVE_SECONDS=60 make bench
```

`benchmarks/sizes.py` lists all variables. A hundred million events take some 40 GB of disk.
"""


def page(runs: Runs, sizes: Sizes, about: About, minutes: float) -> str:
    """The whole page as Markdown: of the runs, what they were `about`, and how long they took."""
    return "\n".join(
        [
            _HEAD,
            *_input(runs),
            f"- Machine: {about.machine}.",
            f"- Measured: commit {about.commit}, in {minutes:.0f} minutes.",
            f"- With {about.ours}.",
            f"- Beside it: {about.others}.",
            "",
            *_noise(runs),
            *_failed(runs),
            *all_goals(runs, sizes),
            *_throughput(runs, sizes),
            *batches(runs, sizes),
            *peers(runs, sizes),
            *_start_up(runs),
            *_proofs(runs, sizes),
            *live(runs, sizes),
            *stages(runs, sizes),
            *connected(runs, sizes),
            *curves(runs, sizes),
            *long_form(runs, sizes),
            _COMMANDS.rstrip(),
            "",
        ]
    )


def _input(runs: Runs) -> Iterator[str]:
    """What the events are like: of themselves, and in which span of time they happen."""
    found = {name.partition(" ")[2]: of[0] for name, of in runs.items() if name[:6] == "input "}
    if not found:
        return
    each = "; ".join(
        f"{run['events']:,} in {run['event_seconds'] / 60:,.0f} minutes"
        for run in sorted(found.values(), key=lambda run: run["events"])
    )
    most = max(found.values(), key=lambda run: run["events"])
    yield (
        f"An event is {most['bytes'] / most['events']:.0f} bytes as a line. By their own time, "
        f"which begins at midnight, when the site is quiet: {each}."
    )
    yield ""


def _noise(runs: Runs) -> Iterator[str]:
    """Says so when the machine was not ours alone: rates are then less than they could be."""
    found = [run["other_cores"] for of in runs.values() for run in of if "other_cores" in run]
    if found and median(found) > _NOISE_CORES_MAX:
        yield (
            f"**The machine was not idle**: other work took {min(found):.1f} to "
            f"{max(found):.1f} of the measured cores meanwhile. Rates, times and latencies are "
            "worse than on an idle one, and unevenly so; compare CPU per event. A goal that is "
            "missed here is missed until an idle machine has shown otherwise."
        )
        yield ""


def _failed(runs: Runs) -> Iterator[str]:
    if FAILED in runs:
        yield "**Not all could be measured**, and what this page says of the rest is no whole:"
        yield ""
        yield from (f"- {run['what']}: {run['why']}" for run in runs[FAILED])
        yield ""


def _throughput(runs: Runs, sizes: Sizes) -> Iterator[str]:
    yield "## Throughput and memory"
    yield ""
    yield "| what | events | events/s | goal | CPU µs/event | peak MiB (own) | goal | others |"
    yield "|---|---|---|---|---|---|---|---|"
    for name, label in (
        ("five outputs", "five outputs from the log"),
        ("ingest", "`ingest` of NDJSON, durable"),
        ("five from files", "five outputs from the log that `ingest` made"),
        ("both", "from NDJSON to the five outputs: both, one after the other"),
        ("plain", "peer: DuckDB batch, plain"),
        ("fastest", "peer: DuckDB batch, the fastest"),
    ):
        for count in sizes.events:
            found = runs.get(f"{name} {count}")
            if not found:
                continue
            rate = cell(found, "events_per_second", lambda v: f"{v / 1e6:.2f} M", best=max)
            wanted = ["–", "–"]
            if name in goals.RATES:
                goal = goals.RATES[name]
                reached = middle(found, "events_per_second") >= goal
                wanted[0] = met(reached, f"≥ {goal / 1e6:g} M")
            if name == "five outputs" and count >= goals.MANY:
                wanted[1] = met(peak(found, "peak_mib") * 1.048576 < goals.FIVE_MB, "< 1 GB")
            cpu = cell(found, "cpu_us_per_event", lambda v: f"{v:.2f}")
            memory = f"{peak(found, 'peak_mib'):,.0f} ({peak(found, 'anonymous_mib'):,.0f})"
            others = f"{middle(found, 'other_cores'):.1f}"
            cells = [label, f"{count:,}", rate, wanted[0], cpu, memory, wanted[1], others]
            yield f"| {' | '.join(cells)} |"
    yield ""
    yield 'Memory is the greatest resident size; "own" leaves out mapped files of the log.'
    yield ""


def _start_up(runs: Runs) -> Iterator[str]:
    def seconds(value: float) -> str:
        return f"{value:.2f}"

    if "python" not in runs:
        return
    yield "## Start"
    yield ""
    yield "| what | seconds | goal |"
    yield "|---|---|---|"
    first = "`headrace run` on a million unread events, to the first row that a query shows"
    for name, label, most in (
        ("python", "an empty Python", None),
        ("import", "Python with `import headrace`", goals.IMPORT_SECONDS),
        ("first result", first, goals.FIRST_SECONDS),
    ):
        if found := runs.get(name):
            goal = "–" if most is None else met(middle(found, "seconds") < most, f"< {most:g}")
            yield f"| {label} | {cell(found, 'seconds', seconds)} | {goal} |"
    yield ""


def _proofs(runs: Runs, sizes: Sizes) -> Iterator[str]:
    commands = ("recompute", "verify")
    measured = [n for n in sizes.events if any(f"{name} {n}" in runs for name in commands)]
    if not measured:
        return
    yield "## Recompute and verify"
    yield ""
    yield "Of the three views and what else the five outputs hold, from the lake:"
    yield ""
    yield "| what | events | seconds | goal | CPU s | peak MiB |"
    yield "|---|---|---|---|---|---|"
    for count in measured:
        for name in commands:
            if f"{name} {count}" not in runs:
                continue
            (run,) = runs[f"{name} {count}"]
            goal = "–"
            if count == goals.MANY:
                goal = met(run["wall_seconds"] <= goals.PROOF_SECONDS, f"≤ {goals.PROOF_SECONDS:g}")
            cells = [f"`headrace {name}`", f"{count:,}", f"{run['wall_seconds']:.1f}", goal]
            cells += [f"{run['cpu_seconds']:.1f}", f"{run['peak_mib']:,.0f}"]
            yield f"| {' | '.join(cells)} |"
    yield ""
