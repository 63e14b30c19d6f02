"""The pictures of the page: what is drawn, and that it is drawn in an environment of its own."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from benchmarks.cells import middle
from benchmarks.curves.report import lines
from benchmarks.environments import python_of
from benchmarks.faithful import compared
from benchmarks.peer_report import BATCHES, NO_CHART, OURS, TITLES, counting
from benchmarks.peers.known import PEERS
from benchmarks.runs import Run, Runs
from benchmarks.sizes import ROOT, Sizes
from tests.servers.missing import Missing

_NEEDED = ROOT / "benchmarks" / "charts.txt"


def draw(runs: Runs, path: Path) -> None:
    """Writes the SVG where peers were measured; where that cannot be, `runs` says why."""
    _render(panels(runs), path, runs)


def draw_curves(runs: Runs, sizes: Sizes, path: Path) -> None:
    """Writes the SVG of the curves that were measured; where that cannot be, `runs` says why."""
    _render(lines(runs, sizes), path, runs)


def _render(shown: list[dict[str, Any]], path: Path, runs: Runs) -> None:
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


def panels(runs: Runs) -> list[dict[str, Any]]:
    """For each pipeline its title and bars: a label, events/s by the median, whether it is ours.

    Headrace and the batches with the most events that a peer got. Whose rows are not ours has no
    bar.
    """
    found = []
    for pipeline, title in TITLES.items():
        of = counting(runs, pipeline)
        if not of:
            continue
        count = max(peer[0]["events"] for peer in of.values())
        ours = runs.get(f"{OURS[pipeline]} {count}")
        bars = [_bar("Headrace", ours, ours=True)] if ours else []
        for name, label in BATCHES[pipeline].items():
            if compared(runs, key := f"{name} {count}"):
                bars.append(_bar(label, runs[key]))
        bars += [_bar(PEERS[name].title, peer) for name, peer in of.items()]
        found.append({"title": title, "bars": bars})
    return found


def _bar(label: str, found: list[Run], *, ours: bool = False) -> tuple[str, float, bool]:
    events = f"{found[0]['events'] / 1e6:g} M events"
    return f"{label}, {events}", middle(found, "events_per_second"), ours
