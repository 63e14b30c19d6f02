"""What was measured: runs by the name of their measurement."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from benchmarks.children import Ended

Run = dict[str, Any]
Runs = dict[str, list[Run]]
# What was tried in vain is noted as this.
FAILED = "failed"


class Notes:
    """All runs so far, given to `keep` after each."""

    def __init__(self, keep: Callable[[Runs], None]) -> None:
        self.runs: Runs = {}
        self._keep = keep

    def note(self, name: str, run: Mapping[str, Any]) -> None:
        self.runs.setdefault(name, []).append(dict(run))
        self._keep(self.runs)
        shown = {k: round(v, 3) for k, v in run.items() if isinstance(v, (int, float))}
        print(f"{name}: {shown or run}", file=sys.stderr, flush=True)

    @contextmanager
    def trying(self, what: str) -> Iterator[None]:
        """Within it, an error is noted as that of `what`, and what comes behind it goes on."""
        try:
            yield
        except Exception as error:
            traceback.print_exc()
            self.note(FAILED, {"what": what, "why": last_words(error)})

    def timed(self, name: str, count: int, ended: Ended, seconds: float) -> None:
        """A run over `count` events, whose work took so many seconds."""
        self.note(name, rates(count, ended, [seconds]))


def largest(runs: Mapping[str, object], counts: Collection[int], *names: str) -> int:
    """The greatest of `counts` of which there are runs `NAME COUNT` of all `names`; else of all."""
    there = [n for n in counts if all(f"{name} {n}" in runs for name in names)]
    return max(there or counts)


def rates(count: int, ended: Ended, seconds: list[float], quiet: float = 0.0) -> Run:
    """What `ended` used, and its rates in events a second.

    `seconds` are those of its work; where it did that several times, all of them: the last is
    warm. Cold is from the start of the process to the end of the first, less what it only waited.
    """
    cold = ended.wall_seconds - sum(seconds[1:]) - quiet
    return asdict(ended) | {
        "events": count,
        "seconds": seconds[-1],
        "cold_per_second": count / cold,
        "events_per_second": count / seconds[-1],
        "cpu_us_per_event": ended.cpu_seconds / count / len(seconds) * 1e6,
    }


def last_words(error: Exception) -> str:
    """The last line of an error that is not a mark below another, shortened."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip(" ^")]
    return lines[-1][:200] if lines else type(error).__name__
