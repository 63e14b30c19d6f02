"""What must come of the records, by a calculation of its own: vectors here, no engine.

The watermark that a record sees is the greatest time accepted before it in its partition, less
the lateness. A window or pane is closed when it ends at or before it, a session event is late
when it lies before it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from headrace.apps.activity_simulation.disorder import LATENESS_US, NOTHING_SEEN, Records
from headrace.apps.activity_simulation.story import KINDS, PAGE_VIEW, SECOND_US

_MINUTE_US = 60 * SECOND_US


class Outcome:
    """Counts, over all records given to `count`, what the activity app must count."""

    def __init__(self, partitions: int) -> None:
        self._newest_us = [NOTHING_SEEN] * partitions
        self._records = 0
        self._malformed = 0
        self._late = {"page_view_counts": 0, "active_users": 0, "session_history": 0}
        self._kinds = np.zeros(len(KINDS), np.int64)

    def count(self, records: Records) -> None:
        """Takes the next records of the log."""
        self._records += len(records)
        self._malformed += int(records.malformed.sum())
        accepted = ~records.malformed
        self._kinds += np.bincount(records.events.kind[accepted], minlength=len(KINDS))
        for partition, newest_us in enumerate(self._newest_us):
            rows = np.flatnonzero(accepted & (records.partition == partition))
            if len(rows) == 0:
                continue
            time_us = records.events.time_us[rows]
            newest = np.maximum(np.maximum.accumulate(time_us), newest_us)
            before = np.concatenate(([newest_us], newest[:-1]))
            watermark = before - LATENESS_US
            self._newest_us[partition] = int(newest[-1])
            closed = time_us // _MINUTE_US * _MINUTE_US + _MINUTE_US <= watermark
            views = records.events.kind[rows] == PAGE_VIEW
            self._late["page_view_counts"] += int((closed & views).sum())
            # Windows of five minutes every minute have panes of one minute.
            self._late["active_users"] += int(closed.sum())
            self._late["session_history"] += int((time_us < watermark).sum())

    def report(self) -> dict[str, Any]:
        """The counts, JSON-able: records, accepted, malformed, late by view, events by kind."""
        return {
            "records": self._records,
            "accepted": self._records - self._malformed,
            "malformed": self._malformed,
            "late": dict(self._late),
            "events": dict(zip(KINDS, self._kinds.tolist(), strict=True)),
        }
