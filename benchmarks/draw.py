"""Draws bars and lines as SVG, one panel above the other, readable on a phone.

Run by `benchmarks/chart.py`.

Arguments: a JSON file of panels, the SVG to write.
"""

import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt

OURS, OTHERS, INK = "#0b6e99", "#b8c4cc", "#222222"
# Points: 4.2 inches fill a phone's width at about the size of its text.
WIDTH_INCHES, BAR_INCHES, PANEL_INCHES, LINE_INCHES, TEXT_POINTS = 4.2, 0.46, 0.55, 1.65, 10
SETTINGS = {
    "svg.hashsalt": "headrace",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": TEXT_POINTS,
    "text.color": INK,
}


def main(source: str, target: str) -> None:
    panels = json.loads(Path(source).read_text())
    heights = [height_of(panel) for panel in panels]
    with matplotlib.rc_context(SETTINGS):
        figure, axes = plt.subplots(
            len(panels),
            1,
            figsize=(WIDTH_INCHES, sum(heights)),
            gridspec_kw={"height_ratios": heights},
            squeeze=False,
            layout="constrained",
        )
        figure.patch.set_facecolor("white")
        for axis, panel in zip(axes[:, 0], panels, strict=True):
            (draw_line if "line" in panel else draw_bars)(axis, panel)
        figure.savefig(target, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))


def height_of(panel: dict) -> float:
    """In inches."""
    return LINE_INCHES if "line" in panel else len(panel["bars"]) * BAR_INCHES + PANEL_INCHES


def draw_line(axis: plt.Axes, panel: dict) -> None:
    """What was varied grows by factors to the right; each point says its cost and its rate."""
    places, values, rates = zip(*panel["line"], strict=True)
    axis.plot(places, values, color=OURS, marker="o")
    for place, value in zip(places, values, strict=True):
        axis.annotate(
            f"{value:.2f}", (place, value), (0, 6), textcoords="offset points", ha="center"
        )
    axis.set_xscale("log")
    ticks = [f"{short(at)}\n{shown(rate)}/s" for at, rate in zip(places, rates, strict=True)]
    axis.set_xticks(places, ticks)
    axis.minorticks_off()
    axis.margins(x=0.08)
    axis.set_ylim(0, max(values) * 1.35)
    axis.set_yticks([])
    axis.spines[["top", "left", "right"]].set_visible(False)
    title = f"{panel['title']}: CPU µs/event, below it events"
    axis.set_title(title, loc="left", fontsize=TEXT_POINTS, weight="bold")


def short(value: float) -> str:
    """10 M, 3 k, 64."""
    for unit, name in ((1_000_000, " M"), (1_000, " k")):
        if value >= unit:
            return f"{value / unit:g}{name}"
    return f"{value:g}"


def draw_bars(axis: plt.Axes, panel: dict) -> None:
    """Each bar with its label above it, so that labels take no width from the bars."""
    greatest = max(value for _, value, _ in panel["bars"])
    for place, (label, value, ours) in enumerate(panel["bars"]):
        axis.barh(place, value, height=0.4, color=OURS if ours else OTHERS)
        weight = "bold" if ours else "normal"
        axis.text(0, place - 0.28, label, va="bottom", weight=weight)
        axis.text(value + greatest * 0.015, place, shown(value), va="center", weight=weight)
    axis.set_ylim(len(panel["bars"]) - 0.5, -0.9)
    axis.set_xlim(0, greatest * 1.22)
    axis.set_title(f"{panel['title']}, events/s", loc="left", fontsize=TEXT_POINTS, weight="bold")
    axis.set_axis_off()


def shown(value: float) -> str:
    return f"{value / 1e6:.2f} M" if value >= 100_000 else f"{value:,.0f}"


if __name__ == "__main__":
    main(*sys.argv[1:])
