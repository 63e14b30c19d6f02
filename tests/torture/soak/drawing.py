"""The series of a soak as one picture: a panel each, kills as ticks, the long life shaded."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path

from tests.torture.soak.leveling import Points

_WIDTH, _HEIGHT, _LEFT, _TOP, _GAP = 420, 120, 16, 52, 34
_COLUMNS, _POINTS_MAX = 2, 300
_STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#333}.t{font-weight:600}.s{fill:#777}"
    "path{fill:none;stroke:#1f6fb2;stroke-width:1.3;stroke-linejoin:round}"
    ".f{fill:none;stroke:#ccc}.k{stroke:#d9822b;stroke-opacity:.55}.l{fill:#1f6fb2;opacity:.08}"
)


@dataclass(frozen=True)
class Panel:
    """One series, and what is said of it."""

    title: str
    said: str
    points: Points


@dataclass(frozen=True)
class Picture:
    """All panels over the same time; `life` is from when to when the long life was."""

    title: str
    seconds: float
    kills: Sequence[float]
    life: tuple[float, float]
    panels: Sequence[Panel]

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")

    def svg(self) -> str:
        """The picture as text."""
        rows = -(-len(self.panels) // _COLUMNS)
        width = _LEFT + _COLUMNS * (_WIDTH + _LEFT)
        height = _TOP + rows * (_HEIGHT + _GAP) + 8
        drawn = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            f'width="{width}" height="{height}" role="img">',
            f"<title>{escape(self.title)}</title><style>{_STYLE}</style>",
            f'<rect width="{width}" height="{height}" fill="#fff"/>',
            f'<text class="t" x="{_LEFT}" y="20">{escape(self.title)}</text>',
        ]
        for number, panel in enumerate(self.panels):
            row, column = divmod(number, _COLUMNS)
            x, y = _LEFT + column * (_WIDTH + _LEFT), _TOP + row * (_HEIGHT + _GAP)
            drawn += [f'<g transform="translate({x} {y})">', *self._panel(panel), "</g>"]
        return "\n".join([*drawn, "</svg>"]) + "\n"

    def _panel(self, panel: Panel) -> list[str]:
        top = _scale(max((value for _, value in panel.points), default=0.0))
        low, high = (self._x(at) for at in self.life)
        ticks = "".join(f"M{self._x(at):.1f} {_HEIGHT - 6}v6" for at in self.kills)
        line = "".join(
            f"{'L' if number else 'M'}{self._x(at):.1f} {_HEIGHT * (1 - value / top):.1f}"
            for number, (at, value) in enumerate(_thinned(panel.points))
        )
        return [
            f'<text class="t" y="-6">{escape(panel.title)}</text>',
            f'<text class="s" x="{_WIDTH}" y="-6" text-anchor="end">{escape(panel.said)}</text>',
            f'<rect class="l" x="{low:.1f}" width="{high - low:.1f}" height="{_HEIGHT}"/>',
            f'<rect class="f" width="{_WIDTH}" height="{_HEIGHT}"/>',
            f'<text class="s" x="4" y="14">{top:,g}</text>',
            f'<text class="s" x="4" y="{_HEIGHT - 4}">0</text>',
            f'<path class="k" d="{ticks}"/>' if ticks else "",
            f'<path d="{line}"/>' if line else "",
        ]

    def _x(self, at: float) -> float:
        return _WIDTH * min(at / self.seconds, 1.0)


def _scale(greatest: float) -> float:
    """The next round number above."""
    step = 10.0 ** math.floor(math.log10(max(greatest, 1.0)))
    return next(step * n for n in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if greatest <= step * n)


def _thinned(points: Points) -> Points:
    """No more points than can be seen, the greatest of each stretch."""
    size = -(-len(points) // _POINTS_MAX)
    stretches = [points[n : n + size] for n in range(0, len(points), size or 1)]
    return [max(stretch, key=lambda point: point[1]) for stretch in stretches]
