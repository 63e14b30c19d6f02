"""What a soak did, in docs/reliability.md, and its picture beside it."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.torture.course import Result
from tests.torture.report import write_between
from tests.torture.soak.soaking import LEFT

BEGIN, END = "<!-- soak: written by make torture -->", "<!-- end of soak -->"
_PICTURE = "reliability-soak.svg"


def publish(page: Path, result: Result) -> None:
    """Puts the picture and the figures that the long trial left into the documentation."""
    shutil.copyfile(LEFT.with_suffix(".svg"), page.with_name(_PICTURE))
    done = result.done
    rows = [line.split("|") for line in LEFT.with_suffix(".txt").read_text().splitlines()]
    lines = [
        f"{done['seconds'] / 60:.0f} minutes, {done['records']:,} records, "
        f"{done['records a second']:,} a second where this machine can do "
        f"{done['of so many at most']:,} in epochs of this size; "
        f"{done['kills']:,} kills, {done['recomputes']:,} recomputes "
        f"({done['recomputes, cut short']:,} more were cut short); the feed waited "
        f"{done['seconds held back']:,} seconds for the job.",
        "",
        "| series | level | gains in as long again as the second half | at most |",
        "|---|---|---|---|",
        *(f"| {' | '.join(row)} |" for row in rows),
        "",
        f"![Every series over the time of the run]({_PICTURE})",
    ]
    write_between(page, BEGIN, END, lines)
