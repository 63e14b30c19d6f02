"""Watermarks: what each record sees, and when a source's windows close (semantics, section 4).

The invariant: lateness is a property of the log. What a record sees depends only on the events
before it in its own partition; the source's watermark only on that and on recorded exemptions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

NEVER_US = -(1 << 62)
"""Stands for "no watermark yet": below every event time."""


def seen_us(
    partitions: NDArray[np.int32],
    times_us: NDArray[np.int64],
    greatest_us: Mapping[int, int],
    lateness_us: int,
) -> tuple[NDArray[np.int64], dict[int, int]]:
    """The watermark each event sees: greatest time before it in its partition, less lateness.

    `partitions` and `times_us` are in log order within each partition; `greatest_us` holds the
    greatest time so far by partition. Returns the watermarks (NEVER_US where none) and the new
    greatest times.
    """
    seen = np.empty(len(times_us), np.int64)
    after = dict(greatest_us)
    for partition in np.unique(partitions).tolist():
        rows = np.flatnonzero(partitions == partition)
        before = after.get(partition, NEVER_US)
        running = np.maximum.accumulate(times_us[rows])
        np.maximum(running, before, out=running)
        mine = np.empty_like(running)
        mine[0] = before
        mine[1:] = running[:-1]
        seen[rows] = np.where(mine == NEVER_US, NEVER_US, mine - lateness_us)
        after[partition] = int(running[-1])
    return seen, after


def source_watermark_us(
    before_us: int,
    greatest_us: Mapping[int, int],
    exempt: Sequence[int],
    partitions: int,
    lateness_us: int,
) -> int:
    """The source's watermark: the least of its partitions', leaving out those exempt.

    Never goes back; stays where it is while a partition that is not exempt has given no event.
    """
    counted = [p for p in range(partitions) if p not in exempt]
    if not counted or any(p not in greatest_us for p in counted):
        return before_us
    return max(before_us, min(greatest_us[p] for p in counted) - lateness_us)
