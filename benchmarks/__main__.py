"""`make bench`: measures everything, writes the page and the numbers behind it.

`python -m benchmarks --page` writes the page again from the numbers of the last run.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from benchmarks.chart import draw, draw_curves
from benchmarks.cores import use_two
from benchmarks.curves.report import CHART as CURVES
from benchmarks.measurements import Measurements
from benchmarks.peer_report import CHART
from benchmarks.report import page
from benchmarks.runs import FAILED, Notes, Runs
from benchmarks.sizes import ROOT, sizes_from, sizes_from_environment
from benchmarks.versions import About, about

RESULTS = ROOT / "build" / "bench-results.json"


def main(arguments: list[str]) -> int:
    """0 where nothing that was tried has failed."""
    try:
        if arguments != ["--page"]:
            _measure()
    finally:
        # However it ended, the page tells of what was measured.
        results = json.loads(RESULTS.read_text())
        _write_page(results)
    return int(FAILED in results["runs"])


def _measure() -> None:
    use_two()
    sizes, found, begun = sizes_from_environment(), about(), time.monotonic()
    RESULTS.parent.mkdir(exist_ok=True)

    def keep(runs: Runs) -> None:
        """After every measurement: what was measured is there, however the run ends."""
        results = {"about": found.to_json(), "sizes": sizes.to_json(), "runs": runs}
        results["minutes"] = (time.monotonic() - begun) / 60
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")

    keep({})
    Measurements(sizes, Notes(keep)).all()


def _write_page(results: dict[str, Any]) -> None:
    runs, sizes = results["runs"], sizes_from(results["sizes"])
    draw(runs, ROOT / "docs" / CHART)
    draw_curves(runs, sizes, ROOT / "docs" / CURVES)
    path = ROOT / "docs" / "performance.md"
    text = page(runs, sizes, About(**results["about"]), results["minutes"])
    path.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
