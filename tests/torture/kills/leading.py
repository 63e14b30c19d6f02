"""What leads a run to a named point: without it most runs end before.

Points fall into families: some are passed by every run, others only while outputs are made, while
records are written, when a lake is tidied, or where retention removes something.
"""

from __future__ import annotations

from tests.torture.kills.child import Seldom
from tests.torture.kills.points import embedded

MAKING = ("log.made", "log.renamed", "lake.created")
WRITING = ("log.written", "log.synced", "log.published", "log.segment.begun")
TIDYING = ("lake.compaction.written", "lake.checkpoint.written")
REMOVING = ("lake.file.removed", "lake.log.removed")
RETAINING = ("log.retained", "log.segment.removed")
DELIVERING = (
    *("state.before_commit", "state.committed", "topic.fenced", "topic.appended"),
    *("lake.fenced", "lake.file.written", "lake.files.synced", "lake.committed"),
    "lake.commit.synced",
)
_OFTEN = ("state.", "topic.appended", "lake.file.written", "lake.files.", "lake.commit", "log.w")

OFTEN = Seldom(lake_commits=8, housekeeping_seconds=0.2)
"""How soon a job of a trial does what it does seldom."""

MANY_COMMITS = {"epoch_records_max": 30, "lake_interval_seconds": 0}
"""Settings of a run in which lakes get more commits than it takes until they are tidied."""


def common(*, retains: bool) -> list[str]:
    """The points that a job reaches that has its outputs; those of retention where it may be."""
    left_out = MAKING if retains else MAKING + RETAINING
    return [point for point in embedded() if point not in left_out]


def passes(point: str) -> tuple[int, ...]:
    """How often to pass a point before the kill, each as likely as the others."""
    return (1, 1, 2, 3, 5) if point.startswith(_OFTEN) else (1,)
