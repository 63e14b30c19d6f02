"""Where the time of a run, a proof or an ingest went, as a table."""

from __future__ import annotations

from collections.abc import Sequence

from headrace.cli.tables import text_table
from headrace.values.stages import StageTime

_HEAD = ("thread", "stage", "seconds", "share", "µs/record")


def stages_text(stages: Sequence[StageTime], whole_seconds: float, records: int) -> str:
    """By thread, the longest stage first. Shares are of the whole: threads work side by side."""
    threads = list(dict.fromkeys(s.thread for s in stages))
    rows = []
    for spent in sorted(stages, key=lambda s: (threads.index(s.thread), -s.seconds)):
        rows.append(
            (
                spent.thread,
                spent.stage,
                f"{spent.seconds:.2f}",
                f"{spent.seconds / whole_seconds:.0%}" if whole_seconds else "-",
                f"{spent.seconds * 1e6 / records:.3f}" if records else "-",
            )
        )
    return text_table(_HEAD, rows, right=range(2, 5))
