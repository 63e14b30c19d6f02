"""Tests of apps: lists of events in, rows out, in milliseconds, with a clock of one's own.

with headrace.testing.run(app) as t:
    t.send("user_activity", [{"event_time": "2026-01-01T00:00:05Z", "user_id": "ann", …}])
    assert t.rows("page_view_counts") == [{"page_url": "/", "view_count": 1, …}]
"""

from headrace.testing.driver import Driver, run

__all__ = ["Driver", "run"]
