"""Tails: what was read last of each partition, noted as it is read and looked for again later."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.engines.embedded.epochs.tails import other_record, tail_behind
from headrace.storage.contract import RECORDS, Fetched
from headrace.storage.topics.log import LocalTopic

PARTITIONS = 3
Log = list[list[bytes | None]]
"""By partition what stands at each offset; None where no record does."""


class Kept:
    """A topic of that log, of which what lies before `begins` is gone."""

    partitions = PARTITIONS

    def __init__(self, log: Log, begins: Sequence[int] = (0,) * PARTITIONS) -> None:
        self.log, self.begins = log, list(begins)

    def begin_offsets(self) -> list[int]:
        return self.begins

    def end_offsets(self) -> list[int]:
        return [len(p) for p in self.log]

    def fetch(
        self, start: Sequence[int], stop: Sequence[int] | None = None, *, records_max: int
    ) -> Fetched:
        assert stop is not None and all(s >= b for s, b in zip(start, self.begins, strict=True))
        rows = [
            {"partition": p, "offset": at, "key": None, "value": value, "arrival_time": 0}
            for p, records in enumerate(self.log)
            for at, value in enumerate(records)
            if start[p] <= at < stop[p] and value is not None
        ]
        return Fetched(pa.Table.from_pylist(rows, RECORDS), list(stop))


def tail_of(log: Log, cuts: Sequence[Sequence[int]]) -> bytes:
    """The tail behind `log`, read in epochs that end at `cuts`."""
    tail, at = b"", [0] * PARTITIONS
    for cut in [*cuts, [len(p) for p in log]]:
        stop = [max(a, min(c, len(p))) for a, c, p in zip(at, cut, log, strict=True)]
        tail = tail_behind(tail, Kept(log).fetch(at, stop, records_max=1).records, at, stop)
        at = stop
    return tail


# Few values: the same records stand in many places.
LOGS = st.lists(
    st.lists(st.sampled_from([b"a", b"b", None]), max_size=9),
    min_size=PARTITIONS,
    max_size=PARTITIONS,
)
OFFSETS = st.lists(st.integers(0, 9), min_size=PARTITIONS, max_size=PARTITIONS)


@settings(deadline=None, max_examples=300)
@given(LOGS, st.lists(OFFSETS, max_size=4), LOGS, OFFSETS)
def test_another_record_in_the_last_places_is_found(
    log: Log, cuts: list[list[int]], others: Log, begins: list[int]
) -> None:
    """However it was read, and whatever retention, compaction or later records made of the rest."""
    now = [(other + mine[len(other) :]) for mine, other in zip(log, others, strict=True)]
    begins = [min(b, len(p)) for b, p in zip(begins, now, strict=True)]
    changed = [
        (p, at)
        for p, mine in enumerate(log)
        for at in range(max(0, len(mine) - 4, begins[p]), len(mine))
        if now[p][at] is not None and now[p][at] != mine[at]
    ]
    found = other_record(Kept(now, begins), [tail_of(log, cuts)])  # type: ignore[arg-type]
    assert (found in changed) if changed else (found is None)


def test_no_key_is_not_an_empty_key() -> None:
    tails = set()
    for key, value in ((None, b"ab"), (b"", b"ab"), (b"a", b"b"), (b"ab", b""), (b"ab", None)):
        row = {"partition": 0, "offset": 0, "key": key, "value": value, "arrival_time": 0}
        tails.add(tail_behind(b"", pa.Table.from_pylist([row], RECORDS), [0], [1]))
    assert len(tails) == 5


def test_retention_comes_between_a_look_and_a_read(tmp_path: Path) -> None:
    """That of another job: what it takes is no difference, and nothing that is missing."""
    topic = LocalTopic.create(tmp_path, "t", 1)
    topic.append(pa.array([b"a", b"b"]))
    tail = tail_behind(b"", topic.fetch([0], records_max=9).records, [0], [2])

    class Retained(LocalTopic):
        def end_offsets(self) -> list[int]:
            self.retain(age_us=0, now_us=2**60)
            return super().end_offsets()

    assert other_record(Retained.open(tmp_path, "t"), [tail]) is None
