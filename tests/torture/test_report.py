"""The figures of a long run take the place of those of the same seed."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from tests.torture.course import Part, Result
from tests.torture.report import BEGIN, END, write_report


def result(kills: int) -> Result:
    part = Part("kills", "nothing is lost", lambda seed, directory: {})
    done = {"kills": kills, "at log.synced": 3, "at state.before_commit": 4, "at random times": 1}
    return Result(part, trials=2, done=Counter(done), seconds=90.0)


def test_each_seed_has_its_last_figures(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"# A page\n\n{BEGIN}\n{END}\n\nThe end.\n", encoding="utf-8")
    for seed, kills in [(2, 7), (1, 1000), (12, 5), (2, 8)]:
        write_report(page, seed, [result(kills)], 120.0)
    text = page.read_text(encoding="utf-8")
    assert [line for line in text.splitlines() if line.startswith("### ")] == [
        "### Seed 1",
        "### Seed 2",
        "### Seed 12",
    ]
    row = "| kills | 2 | 1.5 | 1 at random times, {} kills, 2 named points |"
    assert [line for line in text.splitlines() if line.startswith("| kills")] == [
        row.format(kills) for kills in ("1,000", "8", "5")
    ]
    assert text.startswith("# A page\n\n<!--") and text.endswith("-->\n\nThe end.\n")
