"""The part of the page that tells where the time of a run goes, by thread and stage."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.goals_report import missed
from benchmarks.profiles import Profile, profiles
from benchmarks.runs import Runs
from benchmarks.sizes import Sizes

_WORDS = """\
Of every goal that is missed, and of the five outputs, the last run. These are the stages of which
`--profile-stages` of `run`, `ingest`, `recompute` and `verify` tells the seconds, and `--json` also
the CPU. Threads work side by side and wait for each other, so shares do not add up; CPU is of the
stage's own thread. "Other threads" is what DuckDB and Arrow do in theirs for any of the stages, and
what no stage holds; of commands (`ingest`, `recompute`, `verify`) also the start of the process.
Stages below half a percent of both are left out.
"""
_LEAST = 0.005
# An event takes microseconds, an epoch milliseconds.
_UNITS = {"event": ("µs/event", 1e6), "epoch": ("ms/epoch", 1e3)}


def stages(runs: Runs, sizes: Sizes) -> Iterator[str]:
    """The section as lines of Markdown."""
    names = dict.fromkeys(["five", *missed(runs, sizes)])
    found = [profile for name in names for profile in profiles(name, runs, sizes)]
    if not found:
        return
    yield "## Where the time goes"
    yield ""
    yield _WORDS
    for profile in found:
        yield from _table(profile)


def _table(of: Profile) -> Iterator[str]:
    unit, scale = _UNITS[of.unit]
    yield f"### {of.title[0].upper()}{of.title[1:]}"
    yield ""
    yield f"In {of.seconds:.1f} s, with {of.cores:.1f} cores in use:"
    yield ""
    yield f"| thread | stage | share of the time | CPU {unit} | of all CPU |"
    yield "|---|---|---|---|---|"

    def row(cells: tuple[str, ...], cpu_seconds: float) -> str:
        cpu = f"{cpu_seconds / of.count * scale:.3g}"
        return f"| {' | '.join([*cells, cpu, f'{cpu_seconds / of.cpu_seconds:.0%}'])} |"

    threads = list(dict.fromkeys(s["thread"] for s in of.stages))
    for one in sorted(of.stages, key=lambda s: (threads.index(s["thread"]), -s["seconds"])):
        time, cpu = one["seconds"] / of.seconds, one["own_cpu_seconds"]
        if max(time, cpu / of.cpu_seconds) >= _LEAST:
            yield row((one["thread"], one["stage"], f"{time:.0%}"), cpu)
    yield row(("other threads", "", ""), of.of_cpu_elsewhere * of.cpu_seconds)
    yield row(("**all**", "", ""), of.cpu_seconds)
    yield ""
