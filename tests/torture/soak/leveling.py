"""Whether a series of samples levels off.

The slope is the median of the slopes between all pairs of points (Theil 1950; Sen, Journal of the
American Statistical Association 63, 1968): up to 29 of a hundred points may lie anywhere, so a
checkpoint, a catch-up after a kill or a busy neighbour does not decide. The points are the greatest
values of short stretches of the second half: a saw-tooth (segments, the state's log, compaction)
is judged by its teeth, and whatever a run needs to fill up has the first half for it. What a
process keeps is judged by the least values: a million rows of a lake that become one file take a
third of its memory for half a minute, now here, now there, and a leak stays when they are let go.

It levels off when that slope, carried on for as long as the second half took, adds no more than a
share of what is there. What grows steadily from nothing adds half of its end, what doubles once in
ten such times adds a tenth.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

_STRETCHES = 24
Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Level:
    """What a series comes to: its median in the second half, and what the slope adds to it."""

    name: str
    height: float
    added: float
    allowed: float

    @property
    def holds(self) -> bool:
        return self.added <= self.allowed

    @property
    def row(self) -> str:
        """Its figures, for a table."""
        return f"{self.name}|{self.height:,.1f}|{self.added:+,.1f}|{self.allowed:,.1f}"

    def __str__(self) -> str:
        return f"{self.name}: {self.height:,.1f} {self.added:+,.1f} (at most {self.allowed:+,.1f})"


def level(
    name: str,
    points: Points,
    share: float,
    least: float,
    of_stretch: Callable[[np.ndarray], float] = np.max,
) -> Level:
    """Judges (seconds, value) points; `least` is what a series may gain however small it is.

    `of_stretch` makes one value of those of a stretch.
    """
    times, values = np.array(points, float).T
    stretches = _stretches(times, values, of_stretch)
    slopes = [
        (high - low) / (later - sooner)
        for number, (sooner, low) in enumerate(stretches)
        for later, high in stretches[number + 1 :]
    ]
    height = float(np.median([value for _, value in stretches]))
    length = stretches[-1][0] - stretches[0][0]
    return Level(name, height, float(np.median(slopes)) * length, max(share * height, least))


def _stretches(
    times: np.ndarray, values: np.ndarray, of_stretch: Callable[[np.ndarray], float]
) -> list[tuple[float, float]]:
    middle = (times[0] + times[-1]) / 2
    edges = np.linspace(middle, times[-1], _STRETCHES + 1)
    found = []
    for low, high in pairwise(edges):
        inside = (times >= low) & (times <= high)
        if inside.any():
            found.append(((low + high) / 2, float(of_stretch(values[inside]))))
    return found
