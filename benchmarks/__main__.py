"""`make bench`: measures everything, writes the page and the numbers behind it.

`python -m benchmarks --page` writes the page again from the numbers of the last run.
"""

from __future__ import annotations

import json
import sys

from benchmarks.chart import draw, draw_curves
from benchmarks.curves.report import CHART as CURVES
from benchmarks.measurements import Measurements, Run
from benchmarks.peer_report import CHART
from benchmarks.report import machine, page
from benchmarks.sizes import ROOT, Sizes, sizes_from_environment

RESULTS = ROOT / "build" / "bench-results.json"


def main(arguments: list[str]) -> None:
    sizes = sizes_from_environment()
    if arguments == ["--page"]:
        found = json.loads(RESULTS.read_text())
        write_page(found["runs"], sizes, found["machine"])
        return
    RESULTS.parent.mkdir(exist_ok=True)
    runs = Measurements(sizes, _keep).all()
    write_page(runs, sizes, machine())


def _keep(runs: dict[str, list[Run]]) -> None:
    """After every measurement: what was measured is there, however the run ends."""
    RESULTS.write_text(json.dumps({"machine": machine(), "runs": runs}, indent=1) + "\n")


def write_page(runs: dict[str, list[Run]], sizes: Sizes, where: str) -> None:
    draw(runs, ROOT / "docs" / CHART)
    draw_curves(runs, sizes, ROOT / "docs" / CURVES)
    path = ROOT / "docs" / "performance.md"
    path.write_text(page(runs, sizes, where), encoding="utf-8")
    print(path.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main(sys.argv[1:])
