"""The pictures of the page: what is drawn, and that it is drawn in an environment of its own."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from benchmarks.cells import middle
from benchmarks.curves.report import lines
from benchmarks.environments import python_of
from benchmarks.measurements import Run
from benchmarks.peer_report import NO_CHART, TITLES, measured
from benchmarks.peers.known import PEERS
from benchmarks.sizes import ROOT, Sizes
from tests.servers.missing import Missing

_NEEDED = ROOT / "benchmarks" / "charts.txt"
_BATCHES = {"fastest": "DuckDB batch, the fastest", "peer": "DuckDB batch, plain"}


def draw(runs: dict[str, list[Run]], path: Path) -> None:
    """Writes the SVG where peers were measured; where that cannot be, `runs` says why."""
    _render(panels(runs), path, runs)


def draw_curves(runs: dict[str, list[Run]], sizes: Sizes, path: Path) -> None:
    """Writes the SVG of the curves that were measured; where that cannot be, `runs` says why."""
    _render(lines(runs, sizes), path, runs)


def _render(shown: list[dict[str, Any]], path: Path, runs: dict[str, list[Run]]) -> None:
    if not shown:
        return
    data = ROOT / "build" / "bench-chart.json"
    data.write_text(json.dumps(shown))
    script = str(ROOT / "benchmarks" / "draw.py")
    try:
        command = [str(python_of(_NEEDED)), script, str(data), str(path)]
        subprocess.run(command, check=True, capture_output=True, text=True)
    except Missing as missing:
        runs[NO_CHART] = [{"why": str(missing)}]
    except subprocess.CalledProcessError as error:
        runs[NO_CHART] = [{"why": f"it could not be drawn: {error.stderr.strip()[-200:]}"}]


def panels(runs: dict[str, list[Run]]) -> list[dict[str, Any]]:
    """For each pipeline its title and bars: a label, events/s by the median, whether it is ours.

    Headrace and the batches with the most events that a peer got.
    """
    found = []
    for pipeline, title in TITLES.items():
        of = measured(runs, pipeline)
        if not of:
            continue
        count = max(peer[0]["events"] for peer in of.values())
        bars = [("Headrace", _rate(runs[f"ours {pipeline} {count}"]), True)]
        for name, label in _BATCHES.items():
            # Those of the five outputs are measured with the sizes of the log.
            key = f"{name} {count}" if pipeline == "five" else f"{name} {pipeline} {count}"
            if key in runs:
                bars.append((label, _rate(runs[key]), False))
        bars += [(PEERS[name].title, _rate(peer), False) for name, peer in of.items()]
        found.append({"title": title, "bars": bars})
    return found


def _rate(found: list[Run]) -> float:
    return middle(found, "events_per_second")
