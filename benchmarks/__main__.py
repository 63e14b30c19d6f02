"""`make bench`: measures everything, writes the page and the numbers behind it.

The page goes to `docs/`; that of other sizes than the defaults, or without some peers, to `build/`.

`python -m benchmarks --page` writes the page again from the numbers of the last run.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Callable
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
    if arguments == ["--page"]:
        return _write_page()
    use_two()
    sizes = sizes_from_environment()
    keep = _keeper(sizes, about(sizes.directory))
    measurements = Measurements(sizes, Notes(keep))
    keep({})
    try:
        measurements.all()
        RESULTS.write_text(json.dumps(_kept() | {"ended": True}, indent=1) + "\n")
    finally:
        # However it ended, the page tells of what was measured.
        code = _write_page()
    return code


def _keeper(sizes: Sizes, found: About) -> Callable[[Runs], None]:
    """Keeps, after every measurement, all that was measured: it is there, however the run ends."""
    begun, before = time.monotonic(), _used_gb(sizes.directory)
    most_gb = 0.0
    RESULTS.parent.mkdir(exist_ok=True)

    def keep(runs: Runs) -> None:
        nonlocal most_gb
        most_gb = max(most_gb, _used_gb(sizes.directory) - before)
        results = {"about": found.to_json(), "sizes": sizes.to_json(), "runs": runs}
        results |= {"minutes": (time.monotonic() - begun) / 60, "disk_gb": most_gb}
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")

    return keep


def _kept() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(RESULTS.read_text())
    return found


def _used_gb(directory: Path) -> float:
    """Of the disk that it is on, by whomever."""
    directory.mkdir(parents=True, exist_ok=True)
    return shutil.disk_usage(directory).used / 1e9


def _write_page() -> int:
    """Writes it from what is kept; 1 where something has failed."""
    results = _kept()
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
    return int(FAILED in runs)


def place_of(sizes: Sizes, *, ended: bool) -> Path:
    """Where the page goes: what is shown to everyone is the whole, of the sizes that it is of."""
    whole = ended and not set(changed(sizes)) - {f"BENCH_{LONG}"}
    return DOCS if whole else RESULTS.parent


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
