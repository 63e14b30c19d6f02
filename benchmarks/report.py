"""The runs as a page for people."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks import goals
from benchmarks.about_report import about_lines
from benchmarks.batch_report import batches
from benchmarks.cells import cell, met, middle, peak
from benchmarks.connected_report import connected
from benchmarks.curves.report import curves
from benchmarks.goals_report import all_goals
from benchmarks.live_report import live
from benchmarks.long_report import long_form
from benchmarks.peer_report import peers
from benchmarks.runs import Runs
from benchmarks.sizes import Sizes
from benchmarks.stages_report import stages
from benchmarks.versions import About, Took

_HEAD = """\
# Performance

Written by `make bench`; the numbers of every run are in `build/bench-results.json`.
Each measurement is a process of its own. Short ones are repeated; a cell shows the best and the
median of the runs, or the only one. Rates are of the work itself, without the start of Python;
CPU is of the whole process, and steadier than rates: the column "others" says how many of the two
cores others used meanwhile. Input comes from `headrace simulate`, nothing of it late, nothing
malformed, and is warm in the page cache for everyone alike. Headrace syncs every append and every
epoch to the disk; scripts and peers leave that to the system, but for Flink at its checkpoints.
Topics of Kafka hold what Headrace's own client wrote: batches compressed with lz4.
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

`benchmarks/sizes.py` lists all variables. What is not the whole, or of other sizes, is written to
`build/performance.md` and leaves this page as it is; `BENCH_LONG` adds to it. `BENCH_DIR` says
where the data go meanwhile, in a directory of their own that is emptied. What the defaults take of
time and disk stands at the top; a hundred million events take some 40 GB.
"""


def page(runs: Runs, sizes: Sizes, about: About, took: Took) -> str:
    """The whole page as Markdown: of the runs, what they were `about`, and what they took."""
    return "\n".join(
        [
            _HEAD,
            *about_lines(runs, sizes, about, took),
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
