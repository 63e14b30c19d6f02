"""How the cost grows: what is varied, one at a time, around one small app."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace

from benchmarks.sizes import Sizes

# As many events as this at most, where they are large.
_BYTES = 1_000_000_000

# A point whose runs have taken so long is not run again.
POINT_SECONDS = 60


@dataclass(frozen=True)
class Point:
    """One measured run of the app of `app.py`.

    `views` tumble by `who`, of which there are `keys`; `windows` of a second stay open, and each
    of them may get any event; with `running` there is one running total by `who` instead.
    """

    curve: str
    value: int
    events: int
    keys: int = 1_000
    partitions: int = 3
    views: int = 1
    windows: int = 0
    event_bytes: int = 120
    running: bool = False

    @property
    def name(self) -> str:
        return f"curve {self.curve} {self.value}"

    def arguments(self) -> dict[str, object]:
        """What the measured process is told."""
        return asdict(self)


def points(sizes: Sizes) -> Iterator[Point]:
    """All points, curve by curve; the largest of events and of keys take the longest."""
    base = Point("", 0, sizes.curve_base)
    for n in sizes.curve_events:
        yield replace(base, curve="events", value=n, events=n)
    for n in sizes.curve_keys:
        # Twice as many events as keys: each is made once, and changed about once.
        count = max(base.events, 2 * n)
        yield replace(base, curve="keys", value=n, keys=n, events=count, running=True)
    for n in (1, 4, 16, 64):
        yield replace(base, curve="partitions", value=n, partitions=n)
    for n in (1, 3, 10, 30):
        yield replace(base, curve="views", value=n, views=n)
    for n in (1, 10, 100, 1_000, 10_000):
        yield replace(base, curve="open windows", value=n, windows=n, keys=10)
    for n in (100, 300, 1_000, 3_000, 10_000):
        count = min(base.events, _BYTES // n)
        yield replace(base, curve="event bytes", value=n, event_bytes=n, events=count)
