"""`make bench`: measures everything, writes the page and the numbers behind it.

The page goes to `docs/`; that of other sizes than the defaults, or without some peers, to `build/`.

`python -m benchmarks --page` writes the page again from the numbers of the last run.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.chart import draw, draw_curves
from benchmarks.cores import use_two
from benchmarks.curves.report import CHART as CURVES
from benchmarks.measurements import Measurements
from benchmarks.peer_report import CHART
from benchmarks.report import page
from benchmarks.runs import FAILED, Notes, Runs
from benchmarks.sizes import LONG, ROOT, Sizes, changed, sizes_from, sizes_from_environment
from benchmarks.versions import About, Took, about

DOCS = ROOT / "docs"
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
    sizes, begun = sizes_from_environment(), time.monotonic()
    found, before = about(sizes.directory), _used_gb(sizes.directory)
    most_gb = 0.0
    RESULTS.parent.mkdir(exist_ok=True)

    def keep(runs: Runs) -> None:
        """After every measurement: what was measured is there, however the run ends."""
        results = {"about": found.to_json(), "sizes": sizes.to_json(), "runs": runs}
        nonlocal most_gb
        most_gb = max(most_gb, _used_gb(sizes.directory) - before)
        results |= {"minutes": (time.monotonic() - begun) / 60, "disk_gb": most_gb}
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")

    keep({})
    Measurements(sizes, Notes(keep)).all()
    results = json.loads(RESULTS.read_text()) | {"ended": True}
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")


def _used_gb(directory: Path) -> float:
    """Of the disk that it is on, by whomever."""
    directory.mkdir(parents=True, exist_ok=True)
    return shutil.disk_usage(directory).used / 1e9


def _write_page(results: dict[str, Any]) -> None:
    runs, sizes = results["runs"], sizes_from(results["sizes"])
    place = place_of(sizes, ended=results.get("ended", False))
    draw(runs, place / CHART)
    draw_curves(runs, sizes, place / CURVES)
    path = place / "performance.md"
    took = Took(results["minutes"], results.get("disk_gb", 0.0))
    text = page(runs, sizes, About(**results["about"]), took)
    path.write_text(text, encoding="utf-8")
    print(text)
    print(f"written to {path}", file=sys.stderr)
    if place != DOCS:
        told = ", ".join(f"{name}={value}" for name, value in changed(sizes).items())
        print(f"docs/ is left as it was: {told or 'it did not end'}", file=sys.stderr)


def place_of(sizes: Sizes, *, ended: bool) -> Path:
    """Where the page goes: what is shown to everyone is the whole, of the sizes that it is of."""
    whole = ended and not set(changed(sizes)) - {f"BENCH_{LONG}"}
    return DOCS if whole else RESULTS.parent


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
