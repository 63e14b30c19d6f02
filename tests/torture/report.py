"""The figures of the last long run, written into docs/reliability.md by the run itself."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from tests.torture.course import Result

BEGIN, END = "<!-- figures: written by make torture -->", "<!-- end of figures -->"


def write_report(page: Path, seed: int, results: Sequence[Result], seconds: float) -> None:
    """Replaces what stands between the marks of `page`."""
    write_between(page, BEGIN, END, figures(seed, results, seconds))


def write_between(page: Path, begin: str, end: str, lines: Sequence[str]) -> None:
    """Puts `lines` in the place of what stands between two marks of `page`."""
    text = page.read_text(encoding="utf-8")
    made = "\n".join([begin, "", *lines, "", end])
    page.write_text(re.sub(f"{begin}.*{end}", lambda _: made, text, flags=re.S), encoding="utf-8")


def figures(seed: int, results: Sequence[Result], seconds: float) -> list[str]:
    """The table as lines of Markdown."""
    kills = sum(result.done["kills"] + result.done["power cuts"] for result in results)
    lines = [
        f"Seed {seed}, {seconds / 60:.0f} minutes on {os.cpu_count()} cores, {kills:,} kills; "
        "nothing was found.",
        "",
        "| part | trials | minutes | what was done |",
        "|---|---|---|---|",
    ]
    for result in results:
        done = ", ".join(f"{number:,} {what}" for what, number in sorted(result.done.items()))
        done = result.absent or done
        cells = [result.part.name, f"{result.trials:,}", f"{result.seconds / 60:.1f}", done]
        lines.append(f"| {' | '.join(cells)} |")
    return lines
