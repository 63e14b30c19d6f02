"""Watermarks: what each record sees, and when a source's windows close (semantics, section 4).

The invariant: lateness is a property of the log. What a record sees depends only on the events
before it in its own partition; the source's watermark only on that and on recorded exemptions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

NEVER_US = -(1 << 62)
"""Stands for "no watermark yet": below every event time."""

# The log gives one partition after the other; a topic elsewhere mixes them.
_RUNS_MAX = 256


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
    for partition, rows in _by_partition(partitions):
        before = after.get(partition, NEVER_US)
        running = np.maximum.accumulate(times_us[rows])
        np.maximum(running, before, out=running)
        after[partition] = int(running[-1])
        running[1:] = running[:-1] - lateness_us
        running[0] = before if before == NEVER_US else before - lateness_us
        seen[rows] = running
    return seen, after


def _by_partition(
    partitions: NDArray[np.int32],
) -> Iterator[tuple[int, slice | NDArray[np.int64]]]:
    """Each partition with all of its rows, or, where runs are few, with each of them in turn."""
    if not len(partitions):
        return
    edges = [0, *(np.flatnonzero(partitions[1:] != partitions[:-1]) + 1).tolist()]
    if len(edges) <= _RUNS_MAX:
        for first, last in zip(edges, [*edges[1:], len(partitions)], strict=True):
            yield int(partitions[first]), slice(first, last)
        return
    for partition in np.unique(partitions).tolist():
        yield partition, np.flatnonzero(partitions == partition)


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
