"""What a job tells of an epoch that is on disk."""

from __future__ import annotations

from collections.abc import Iterator

from headrace.engines.embedded.epochs.engine import Committed, reasons_of
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
            reasons = reasons_of(part.dead)
            yield RecordsDeadLettered(job, committed.epoch, len(part.dead), reasons)
