"""The beginning of the page: what was measured, over which input, on which machine."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from benchmarks.runs import FAILED, Run, Runs
from benchmarks.sizes import Sizes, changed
from benchmarks.versions import About, Took

_NOISE_CORES_MAX = 0.2
# Noted once each, whatever is repeated.
_NO_RUNS = ("input", "rows", FAILED)


def about_lines(runs: Runs, sizes: Sizes, about: About, took: Took) -> Iterator[str]:
    """The lines of Markdown below the page's first words."""
    yield from _input(runs)
    yield f"- Machine: {about.machine}."
    if about.disk:
        yield f"- Disk: {about.disk}."
    yield f"- Measured: commit {about.commit}, in {took.minutes:.0f} minutes{_disk(took)}."
    yield f"- With {about.ours}."
    yield f"- Beside it: {about.others}."
    yield from _settings(sizes)
    yield from _once(runs)
    yield ""
    yield from _noise(runs)
    yield from _failed(runs)


def _disk(took: Took) -> str:
    return f" and with {took.disk_gb:.0f} GB of disk at most" if took.disk_gb else ""


def _settings(sizes: Sizes) -> Iterator[str]:
    """What differs from the defaults, so that nobody takes it for these."""
    if found := changed(sizes):
        yield f"- Not as by default: {', '.join(f'`{k}={_value(v)}`' for k, v in found.items())}."


def _value(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple | list) else str(value)


def _once(runs: Runs) -> Iterator[str]:
    """What may be chance: whatever has one run, by its name in the file of numbers."""
    names = [name for name, of in runs.items() if len(of) == 1 and "report" in of[0]]
    names = [name for name in names if name.partition(" ")[0] not in _NO_RUNS]
    if names:
        yield f"- Run once, by the names in that file: {', '.join(f'`{n}`' for n in names)}."


def _input(runs: Runs) -> Iterator[str]:
    """What the events are like: of themselves, and in which span of time they happen."""
    found = {name.partition(" ")[2]: of[0] for name, of in runs.items() if name[:6] == "input "}
    if not found:
        return
    ordered = sorted(found.values(), key=lambda run: run["events"])
    each = "; ".join(f"{run['events']:,} in {_like(run)}" for run in ordered)
    most = ordered[-1]
    text = (
        f"An event is {most['bytes'] / most['events']:.0f} bytes as a line. By their own time, "
        f"which begins at midnight, when the site is quiet: {each}."
    )
    if "behind_p99_seconds" in most:
        text += (
            " They come out of order: an event stands up to "
            f"{max(run['behind_max_seconds'] for run in ordered):.0f} s behind the newest of its "
            f"partition, one of a hundred {most['behind_p99_seconds']:.0f} s or more; the apps "
            "wait two minutes."
        )
    yield text
    yield ""


def _like(run: Run) -> str:
    minutes = f"{run['event_seconds'] / 60:,.0f} minutes"
    if "users" not in run:
        return minutes
    return f"{minutes}, of {run['users']:,} users on {run['pages']:,} pages"


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
