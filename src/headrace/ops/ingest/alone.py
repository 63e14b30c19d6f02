"""Whether all records of a topic are one producer's.

Offsets alone do not tell: where appends are transactions, each leaves a marker in every partition
that it wrote to, and one that was aborted leaves its rows, which nobody reads. So the offsets that
this process filled are remembered, and what stands in the others is read.
"""

from __future__ import annotations

from collections.abc import Iterator

from headrace.storage.contract import Log
from headrace.storage.topics.writer import Appended

_PIECE_RECORDS = 100_000
Span = tuple[int, int]


class Filled:
    """The offsets that appends filled, by partition, in growing spans."""

    def __init__(self, partitions: int) -> None:
        self._spans: list[list[Span]] = [[] for _ in range(partitions)]
        self._rows = 0

    def note(self, appended: Appended) -> None:
        """Adds what was appended; appends come in their order."""
        self._rows += appended.rows
        for spans, base, count in zip(self._spans, appended.base, appended.counts, strict=True):
            if not count:
                continue
            end = base + count + appended.markers
            if spans and spans[-1][1] == base:
                spans[-1] = (spans[-1][0], end)
            else:
                spans.append((base, end))

    def alone(self, topic: Log, there: int) -> bool:
        """Whether `topic` holds the producer's `there` records, these among them, and no more.

        Reads what others than these appends wrote, until there is one too many. Errors as `topic`.
        """
        ends = topic.end_offsets()
        if sum(ends) == there:
            return True
        found, others = 0, there - self._rows
        for partition, start, stop in self._gaps(topic.begin_offsets(), ends):
            at, upto = list(ends), list(ends)
            at[partition], upto[partition] = start, stop
            while at != upto and found <= others:
                fetched = topic.fetch(at, upto, records_max=_PIECE_RECORDS)
                found, at = found + fetched.records.num_rows, fetched.next_offsets
        return found == others

    def _gaps(self, begins: list[int], ends: list[int]) -> Iterator[tuple[int, int, int]]:
        """(partition, start, stop) of what lies between the spans."""
        for partition, (begin, end) in enumerate(zip(begins, ends, strict=True)):
            at = begin
            for start, stop in [*self._spans[partition], (end, end)]:
                if at < start:
                    yield partition, at, start
                at = max(at, stop)
