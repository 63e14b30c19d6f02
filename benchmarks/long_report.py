"""The part of the page that tells of the long form: is its end like its beginning?"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from statistics import median

from benchmarks.runs import Runs
from benchmarks.sizes import Sizes

TENTHS = 10
_WORDS = """\
Events are made by another process on the same cores and appended as fast as the job takes them; the
log keeps one GiB, the tables and the lake all. There are four outputs, not five: no topic is
written, since retention takes only what a job reads. The goal holds the last tenth of the events
against the second: in the first the log fills up to what retention leaves, and the process its
caches.
"""


def tenths(looks: list[dict[str, float]]) -> list[dict[str, float]]:
    """What was seen in each tenth of the records: the rate in records/s, medians of the rest."""
    last = looks[-1]["read"]
    found = []
    for number in range(TENTHS):
        low, high = last * number / TENTHS, last * (number + 1) / TENTHS
        of = [look for look in looks if low <= look["read"] <= high]
        if len(of) < 2:
            continue
        pairs = [(b["read"] - a["read"], b["seconds"] - a["seconds"]) for a, b in pairwise(of)]
        rate = sum(n for n, _ in pairs) / sum(s for _, s in pairs)
        keys = ("log_mib", "resident_mib", "anonymous_mib")
        found.append({"rate": rate} | {key: median(look[key] for look in of) for key in keys})
    return found


def long_form(runs: Runs, sizes: Sizes) -> Iterator[str]:
    """The section as lines of Markdown; nothing where it was not asked for."""
    if "long" not in runs:
        return
    run = runs["long"][0]
    yield f"## {sizes.long_events:,} events, with retention"
    yield ""
    yield _WORDS
    yield "| tenth | events/s | log MiB | memory MiB (own) |"
    yield "|---|---|---|---|"
    for number, one in enumerate(tenths(run["report"]["looks"]), 1):
        memory = f"{one['resident_mib']:,.0f} ({one['anonymous_mib']:,.0f})"
        yield f"| {number} | {one['rate'] / 1e6:.2f} M | {one['log_mib']:,.0f} | {memory} |"
    yield ""
    yield (
        f"All of it in {run['seconds']:,.0f} s; {run['cpu_us_per_event']:.2f} µs of CPU per event "
        f"in the job, at most {run['peak_mib']:,.0f} MiB."
    )
    yield ""
