"""What a job tells of an epoch that is on disk."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from headrace.engines.embedded.epochs.engine import Committed
from headrace.values.telemetry import EpochCommitted, Event, RecordsDeadLettered


def events_of_epoch(job: str, committed: Committed, lag_records: int) -> Iterator[Event]:
    """The epoch with its sums, then for each source the reasons of what was dead-lettered."""
    yield EpochCommitted(
        job,
        committed.generation,
        committed.epoch,
        committed.records,
        sum(len(s.dead) for s in committed.sources.values()),
        committed.seconds,
        lag_records,
    )
    for part in committed.sources.values():
        if len(part.dead):
            reasons = _reasons_of(part.dead)
            yield RecordsDeadLettered(job, committed.epoch, len(part.dead), reasons)


def _reasons_of(dead: pa.Table) -> dict[str, int]:
    """How many records were refused for which reason (fields named), for telemetry."""
    # What stands behind the colon is the value: every record has another.
    whys = pc.list_element(pc.split_pattern(dead.column("_reason"), ": ", max_splits=1), 0)
    named = pa.table({"field": dead.column("_field"), "why": whys})
    counted = named.group_by(["field", "why"]).aggregate([([], "count_all")]).to_pylist()
    return {
        f"{r['field']} {r['why']}" if r["field"] else str(r["why"]): r["count_all"] for r in counted
    }
