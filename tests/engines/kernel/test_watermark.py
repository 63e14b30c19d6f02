"""Watermarks: what each record sees, and the source's, one record after another."""

from __future__ import annotations

from unittest.mock import patch

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.engines.kernel import watermark
from headrace.engines.kernel.watermark import NEVER_US, seen_us, source_watermark_us

CHECKS = settings(max_examples=100, deadline=None)
# By runs of a partition, and by all rows of one.
RUNS_MAX = st.sampled_from([0, 256])
LOG = st.lists(st.tuples(st.integers(0, 3), st.integers(-50, 50)), max_size=30)


def arrays(log: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([p for p, _ in log], np.int32), np.array([t for _, t in log], np.int64)


@CHECKS
@given(LOG, st.integers(0, 10), RUNS_MAX)
def test_a_record_sees_the_greatest_time_before_it_in_its_partition(
    log: list[tuple[int, int]], lateness: int, runs_max: int
) -> None:
    wanted, greatest = [], {}
    for partition, time in log:
        wanted.append(greatest[partition] - lateness if partition in greatest else NEVER_US)
        greatest[partition] = max(greatest.get(partition, time), time)
    with patch.object(watermark, "_RUNS_MAX", runs_max):
        seen, after = seen_us(*arrays(log), {}, lateness)
    assert seen.tolist() == wanted
    assert after == greatest


@CHECKS
@given(LOG, st.integers(0, 30), st.integers(0, 10))
def test_it_does_not_matter_where_a_log_is_cut(
    log: list[tuple[int, int]], cut: int, lateness: int
) -> None:
    whole, after = seen_us(*arrays(log), {}, lateness)
    first, between = seen_us(*arrays(log[:cut]), {}, lateness)
    second, behind = seen_us(*arrays(log[cut:]), between, lateness)
    assert [*first.tolist(), *second.tolist()] == whole.tolist()
    assert behind == after


@CHECKS
@given(LOG, st.sets(st.integers(0, 3)), st.integers(-60, 60), st.integers(0, 10))
def test_the_source_waits_for_the_slowest_partition_and_never_goes_back(
    log: list[tuple[int, int]], exempt: set[int], before: int, lateness: int
) -> None:
    _, greatest = seen_us(*arrays(log), {}, lateness)
    found = source_watermark_us(before, greatest, tuple(exempt), 4, lateness)
    counted = [p for p in range(4) if p not in exempt]
    if not counted or any(p not in greatest for p in counted):
        assert found == before
    else:
        assert found == max([before, min(greatest[p] - lateness for p in counted)])
