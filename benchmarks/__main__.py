"""`make bench`: measures everything, writes the page and the numbers behind it."""

from __future__ import annotations

import json

from benchmarks.chart import draw, draw_curves
from benchmarks.curves.report import CHART as CURVES
from benchmarks.measurements import Measurements
from benchmarks.peer_report import CHART
from benchmarks.report import machine, page
from benchmarks.sizes import ROOT, sizes_from_environment


def main() -> None:
    sizes = sizes_from_environment()
    runs = Measurements(sizes).all()
    draw(runs, ROOT / "docs" / CHART)
    draw_curves(runs, sizes, ROOT / "docs" / CURVES)
    results = ROOT / "build" / "bench-results.json"
    results.write_text(json.dumps({"machine": machine(), "runs": runs}, indent=1) + "\n")
    path = ROOT / "docs" / "performance.md"
    path.write_text(page(runs, sizes), encoding="utf-8")
    print(path.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
