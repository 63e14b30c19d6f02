"""What waits for a destination, and the mark with which it goes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from headrace.engines.embedded.epochs.engine import Committed
from headrace.engines.embedded.epochs.sources import Position
from headrace.storage.contract import Mark


@dataclass
class Waiting:
    """An epoch in a queue. Once its rows are `made`, what they were made of is let go."""

    committed: Committed
    weight: int
    made: bool = False
    rows: pa.Table | None = None


def mark_at(job: str, generation: int, epoch: int, positions: Mapping[str, Position]) -> Mark:
    """The mark of what has everything up to an epoch, after which the sources stood there."""
    return Mark(
        job,
        generation,
        epoch,
        {topic: at.offsets for topic, at in positions.items()},
        {topic: at.watermark_us for topic, at in positions.items()},
        {topic: at.identity for topic, at in positions.items()},
    )
