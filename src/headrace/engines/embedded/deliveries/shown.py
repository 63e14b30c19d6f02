"""What a topic of an output shows to readers, wherever it stands: its records, and what it keeps.

Topics elsewhere are read through a snapshot; without one a topic is a local one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

import pyarrow as pa

from headrace.engines.embedded.deliveries.targets import target_of
from headrace.plan.operators import Job, Output
from headrace.storage.contract import Kept, Snapshot, TopicSnapshot
from headrace.storage.systems import Systems
from headrace.values.errors import TopicRefused

_PIECE_RECORDS = 1_000_000


def records(
    systems: Systems,
    job: Job,
    output: Output,
    snapshot: Snapshot | None,
    ends: Sequence[int] | None = None,
) -> Iterator[pa.Table]:
    """All records that are there, as contract.RECORDS, piece by piece; none without any.

    Of a local topic up to `ends`, by default its present ones; elsewhere the snapshot has the end.
    """
    if snapshot is not None:
        for batch in snapshot.rows(target_of(job, output)):
            if batch.num_rows:
                yield pa.Table.from_batches([batch])
        return
    topic = systems.local_topic(output.name, output.partitions)
    at, ends = topic.begin_offsets(), topic.end_offsets() if ends is None else ends
    while any(a < end for a, end in zip(at, ends, strict=True)):
        try:
            stop = [max(a, end) for a, end in zip(at, ends, strict=True)]
            fetched = topic.fetch(at, stop, records_max=_PIECE_RECORDS)
        except TopicRefused:
            # Retention may go on meanwhile: what is there from then on.
            begin = topic.begin_offsets()
            if all(b <= a for a, b in zip(at, begin, strict=True)):
                raise
            at = [max(a, b) for a, b in zip(at, begin, strict=True)]
            continue
        at = fetched.next_offsets
        if len(fetched.records):
            yield fetched.records


def kept(systems: Systems, job: Job, output: Output, snapshot: Snapshot | None) -> Kept:
    """What the topic of `output` still has, and who else writes there."""
    if snapshot is not None:
        return cast(TopicSnapshot, snapshot).kept(target_of(job, output))
    mine = f"{job.id}/{output.name}"
    topic = systems.local_topic(output.name, output.partitions)
    others = set(topic.producers()) - {mine, f"{mine}/starts"}
    return Kept(tuple(topic.begin_offsets()), others=tuple(sorted(others)))
