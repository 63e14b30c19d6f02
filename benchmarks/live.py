"""The live runs: how many events a second, on what state, asked how often."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmarks import children
from benchmarks.children import Ended
from benchmarks.fed import NOTHING, Fed, checked
from benchmarks.sizes import Sizes

ASKED_OFTEN_MS, ASKED_SELDOM_MS = 5, 50


@dataclass(frozen=True)
class Live:
    """Latency at `rate` events a second, with `preload` events in the state before.

    Who asks waits `pause_ms` between an answer and the next question.
    """

    rate: int
    preload: int = 0
    pause_ms: int = ASKED_OFTEN_MS

    @property
    def name(self) -> str:
        seldom = f" asked {self.pause_ms}" if self.pause_ms != ASKED_OFTEN_MS else ""
        return f"live {self.rate} {self.preload}{seldom}"


def live_runs(sizes: Sizes) -> list[Live]:
    return [
        Live(sizes.live_rate),
        Live(sizes.live_rate, pause_ms=ASKED_SELDOM_MS),
        Live(sizes.live_rate, sizes.live_preload),
        Live(sizes.fast_rate),
    ]


def latency(
    data: Path, rate: int, seconds: float, pause_ms: int = ASKED_OFTEN_MS, before: Fed = NOTHING
) -> Ended:
    """One live run; `before`: the events that are in the state when it begins."""
    ended = children.python("benchmarks.measure.latency", data, rate, seconds, pause_ms)
    fed = Fed(ended.report["events"], ended.report["page_views"])
    return checked(ended, before + fed)
