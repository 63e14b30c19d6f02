"""Where the time of a run went, as a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from headrace.cli.tables import text_table
from headrace.values.telemetry import JobStopped

_HEAD = ("thread", "stage", "seconds", "share", "µs/record")


def stages_text(stages: Sequence[dict[str, Any]], stopped: JobStopped) -> str:
    """By thread, the longest stage first. Shares are of the run: threads work side by side."""
    threads = list(dict.fromkeys(s["thread"] for s in stages))
    rows = []
    for spent in sorted(stages, key=lambda s: (threads.index(s["thread"]), -s["seconds"])):
        seconds = spent["seconds"]
        rows.append(
            (
                spent["thread"],
                spent["stage"],
                f"{seconds:.2f}",
                f"{seconds / stopped.seconds:.0%}" if stopped.seconds else "-",
                f"{seconds * 1e6 / stopped.records:.3f}" if stopped.records else "-",
            )
        )
    return text_table(_HEAD, rows, right=range(2, 5))
