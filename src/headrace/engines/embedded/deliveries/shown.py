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
from headrace.storage.whole import all_records

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
    yield from all_records(topic, ends, records_max=_PIECE_RECORDS)


def kept(systems: Systems, job: Job, output: Output, snapshot: Snapshot | None) -> Kept:
    """What the topic of `output` still has, and who else writes there."""
    if snapshot is not None:
        return cast(TopicSnapshot, snapshot).kept(target_of(job, output))
    mine = f"{job.id}/{output.name}"
    topic = systems.local_topic(output.name, output.partitions)
    others = set(topic.producers()) - {mine, f"{mine}/starts"}
    return Kept(tuple(topic.begin_offsets()), others=tuple(sorted(others)))
