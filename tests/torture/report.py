"""The figures of the last long run of each seed, put into docs/reliability.md by the run itself."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from tests.torture.course import Result

BEGIN, END = "<!-- figures: written by make torture -->", "<!-- end of figures -->"
_SECTION = re.compile(r"### Seed (\d+)\n.*?(?=### Seed |\Z)", re.S)
_POINT = re.compile(r"at [a-z_]+(\.[a-z_]+)+")


def write_report(page: Path, seed: int, results: Sequence[Result], seconds: float) -> None:
    """Puts the figures between the marks of `page`, in the place of the seed's own, if there."""
    text = page.read_text(encoding="utf-8")
    before = text.partition(BEGIN)[2].partition(END)[0]
    found = {int(one[1]): one[0].strip() for one in _SECTION.finditer(before)}
    found[seed] = "\n".join(figures(seed, results, seconds))
    sections = "\n\n".join(found[number] for number in sorted(found))
    write_between(page, BEGIN, END, sections.splitlines())


def write_between(page: Path, begin: str, end: str, lines: Sequence[str]) -> None:
    """Puts `lines` in the place of what stands between two marks of `page`."""
    text = page.read_text(encoding="utf-8")
    made = "\n".join([begin, "", *lines, "", end])
    page.write_text(re.sub(f"{begin}.*{end}", lambda _: made, text, flags=re.S), encoding="utf-8")


def figures(seed: int, results: Sequence[Result], seconds: float) -> list[str]:
    """The table as lines of Markdown."""
    kills = sum(result.done["kills"] + result.done["power cuts"] for result in results)
    lines = [
        f"### Seed {seed}",
        "",
        f"{seconds / 60:.0f} minutes on {os.cpu_count()} cores, {kills:,} kills; "
        "nothing was found.",
        "",
        "| part | trials | minutes | what was done |",
        "|---|---|---|---|",
    ]
    for result in results:
        cells = [result.part.name, f"{result.trials:,}", f"{result.seconds / 60:.1f}"]
        lines.append(f"| {' | '.join([*cells, result.absent or _done(result)])} |")
    return lines


def _done(result: Result) -> str:
    """What was counted; of named points, how many there were."""
    points = [what for what in result.done if _POINT.fullmatch(what)]
    counts = {what: number for what, number in result.done.items() if what not in points}
    if points:
        counts["named points"] = len(points)
    return ", ".join(f"{number:,} {what}" for what, number in sorted(counts.items()))
