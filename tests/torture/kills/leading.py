"""What leads a run to a named point: without it most runs end before.

Points fall into families: some are passed by every run, others only while outputs are made, while
records are written, when a lake is tidied, where retention removes something, where a definition or
a format went on, by what computes again, or where something is mended that an earlier kill left.
"""

from __future__ import annotations

from random import Random

from tests.torture.kills.child import Seldom
from tests.torture.kills.points import embedded

BEGINNING = ("log.made", "log.renamed")
MAKING = ("state.created", *BEGINNING, "lake.created")
WRITING = (
    *("log.written", "log.synced", "log.published"),
    *("log.segment.written", "log.segment.begun"),
)
TIDYING = ("lake.compaction.written", "lake.checkpoint.written")
REMOVING = (
    *("lake.file.removed", "lake.log.removed"),
    *("lake.digests.written", "lake.digests.replaced"),
)
RETAINING = ("log.retained", "log.segment.removed")
DELIVERING = (
    *("state.before_commit", "state.committed", "topic.fenced", "topic.appended"),
    *("lake.fenced", "lake.file.written", "lake.files.synced", "lake.committed"),
    "lake.commit.synced",
)
CORRECTING = ("corrections.written", "corrections.committed")
"""Reached by commands that compute again alone, and by the starts behind those."""
CONFIGURED, CHECKPOINTED = "lake.configured", "state.checkpointed"
COLUMNS_ADDED, MIGRATED = "lake.columns.added", "state.migrated"
AFTER_A_CUT = {
    "log.recovery.cut": "log.written",
    "log.recovery.removed": "log.segment.written",
    "lake.hint.removed": "lake.committed",
    "lake.torn.removed": "lake.committed",
    "lake.mended": "lake.committed",
}
"""What mends the torn end of a file, with where power must be cut: what is killed leaves none."""
MENDING = {
    "log.recovery.synced": "log.written",
    "log.recovery.published": "log.synced",
    **AFTER_A_CUT,
}
"""What mends, with where to be killed before."""
_OFTEN = (
    *("state.before_commit", "state.committed", "topic.appended"),
    *("lake.file.", "lake.files."),
)
_FENCING = (
    *("lake.commit", "lake.digests.noted"),
    *("log.written", "log.synced", "log.published"),
)

GRACES_SECONDS = (1, 2)
"""How long a lake keeps what it has replaced: one is the other's change."""
AHEAD_RECORDS = (0, None)
"""Of how many unread records some are read ahead: of any, or as always."""
STATE_LOG_BYTES = 1 << 16

MANY_COMMITS = {"epoch_records_max": 30, "lake_interval_seconds": 0}
"""Settings of a run in which lakes get more commits than it takes until they are tidied."""


def often(chance: Random) -> Seldom:
    """How soon a job of a trial does what it does seldom."""
    return Seldom(
        lake_files=4,
        lake_commits=8,
        lake_grace_seconds=GRACES_SECONDS[0],
        housekeeping_seconds=0.2,
        ahead_records=chance.choice(AHEAD_RECORDS),
    )


def reached(*, cuts: bool) -> tuple[str, ...]:
    """The points that trials reach without any server, where kills are power `cuts` and not."""
    return tuple(point for point in embedded() if cuts or point not in AFTER_A_CUT)


def common(*, retains: bool, cuts: bool = False) -> list[str]:
    """The points that a job reaches that has its outputs; those of retention where it may be."""
    left_out = MAKING + CORRECTING if retains else MAKING + CORRECTING + RETAINING
    return [point for point in reached(cuts=cuts) if point not in left_out]


def passes(point: str) -> tuple[int, ...]:
    """How often to pass a point before a run is killed, each as likely as the others.

    A start passes some once for each lake or topic, to fence it: what it delivers comes behind.
    """
    if point.startswith(_FENCING):
        return (1, 3, 6, 8, 12)
    return (1, 1, 2, 3, 5) if point.startswith(_OFTEN) else (1,)
