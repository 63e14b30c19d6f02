"""Events that come at a steady rate, whatever becomes of them, and how long each took to be seen.

Event number i is due at `begun + (i + 1) / rate`, and its time begins then: where an append stalls,
those that were due meanwhile have waited too. (Begun with the append, their wait would be left out:
coordinated omission.)
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from headrace.storage.contract import Log
from headrace.values.stages import Stages

APPEND_SECONDS = 0.004
WARM_SECONDS = 2.0
# What the profile calls the threads that are not the job's.
OUTSIDE = "whoever appends and asks"

# When a question was asked and answered, and how many page views were there.
Poll = tuple[float, float, int]


@dataclass
class Feed:
    """Appends what is due every few milliseconds; `appends` are their begins, ends, numbers."""

    topic: Log
    values: pa.Array
    keys: pa.Array
    rate: float
    stages: Stages
    views: npt.NDArray[np.int64] = field(init=False)
    begun: float = field(init=False)
    appends: list[tuple[float, float, int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """`views`: how many page views there are up to each event, that one included."""
        is_view = pc.match_substring(self.values.cast(pa.string()), '"page_view"')
        self.views = np.cumsum(is_view.to_numpy(zero_copy_only=False).astype(np.int64))

    def run(self) -> None:
        self.begun, done = time.perf_counter(), 0
        while done < len(self.values):
            before = time.perf_counter()
            end = min(len(self.values), int((before - self.begun) * self.rate))
            if end > done:
                with self.stages.spent(OUTSIDE, "append events"):
                    self.topic.append_numbered(
                        self.values[done:end],
                        self.keys[done:end],
                        producer="latency",
                        first_sequence=done,
                    )
                self.appends.append((before, time.perf_counter(), done, end))
                done = end
            time.sleep(max(0.0, before + APPEND_SECONDS - time.perf_counter()))


def latency(feed: Feed, polls: list[Poll], warm_seconds: float = WARM_SECONDS) -> dict[str, float]:
    """Milliseconds from when page views were due to the answer that first counts them, and so on.

    p50 and p99 leave out those that were due in the first `warm_seconds`.
    """
    before, after, _, ends = (np.array(column) for column in zip(*feed.appends, strict=True))
    counts = np.array([there for _, _, there in polls])
    answered = np.array([at for _, at, _ in polls])
    views = np.flatnonzero(np.diff(feed.views, prepend=0))
    due = feed.begun + (views + 1) / feed.rate
    # The page views of an append are visible with the first answer that counts up to its end.
    visible = answered[np.searchsorted(counts, feed.views[ends.astype(int) - 1])]
    latency_ms = (visible[np.searchsorted(ends, views, side="right")] - due) * 1000
    steady = latency_ms[due >= feed.begun + warm_seconds]
    append_ms = (after - before) * 1000
    asking_ms = np.array([at - asked for asked, at, _ in polls]) * 1000
    found = {"events": int(ends[-1]), "seconds": float(after[-1] - feed.begun)}
    found["max_ms"] = float(latency_ms.max())
    for name, values in (("", steady), ("append_", append_ms), ("query_", asking_ms)):
        for share in (50, 99):
            found[f"{name}p{share}_ms"] = float(np.percentile(values, share))
    return found
