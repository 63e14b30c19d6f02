"""All records of a topic between offsets, however many reads that takes."""

from __future__ import annotations

import pyarrow as pa

from headrace.storage.contract import RECORDS, Topic


def read_all(topic: Topic, start: list[int], stop: list[int]) -> pa.Table:
    """All records from `start` to `stop`, in the order of one read.

    Of partitions that came after these offsets were noted there are none.
    """
    later = [0] * (topic.partitions - len(start))
    parts, at, stop = [], [*start, *later], [*stop, *later]
    while any(a < s for a, s in zip(at, stop, strict=True)):
        part = topic.fetch(at, stop, records_max=1 << 30)
        if part.next_offsets == at:
            break
        at = part.next_offsets
        parts.append(part.records)
    return pa.concat_tables(parts) if parts else RECORDS.empty_table()
