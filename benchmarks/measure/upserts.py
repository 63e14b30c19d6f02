"""Changed rows into a large table of PostgreSQL, delivered as a job delivers them.

The table is keyed by window and page like `page_view_counts`; each delivery changes rows that are
there, of the last windows (as live views do) or anywhere (as running totals by key do).
"""

from __future__ import annotations

import json
import sys
import time

import numpy as np
import pyarrow as pa

from headrace.storage.contract import Destination, Mark, Target
from headrace.storage.postgres.system import PostgresSystem

_PAGES, _LOADED, _CHANGED, _DELIVERIES = 1_000, 500_000, 100_000, 10
_JOB, _MINUTE_US = "bench", 60_000_000
_COLUMNS = (("window_start", "TIMESTAMP"), ("page_url", "VARCHAR"), ("view_count", "BIGINT"))


def main(dsn: str, rows: str) -> None:
    key = ("window_start", "page_url")
    target = Target(_JOB, "upserts", "table", _COLUMNS, key, required=key)
    system = PostgresSystem(dsn)
    table = system.destination(target)
    table.open(_JOB, 1)
    count, epoch = int(rows), 0
    for first in range(0, count, _LOADED):
        epoch += 1
        _deliver(table, np.arange(first, min(count, first + _LOADED)), epoch)
    report = {}
    random = np.random.default_rng(7)
    for name, low in (("recent", count - 2 * _CHANGED), ("anywhere", 0)):
        seconds = []
        for _ in range(_DELIVERIES):
            epoch += 1
            chosen = low + random.choice(count - low, _CHANGED, replace=False)
            begun = time.perf_counter()
            _deliver(table, np.sort(chosen), epoch)
            seconds.append(time.perf_counter() - begun)
        report[name] = _CHANGED * _DELIVERIES / sum(seconds)
    table.close()
    system.close()
    print(json.dumps(report))


def _deliver(table: Destination, rows: np.ndarray, epoch: int) -> None:
    """Upserts the rows of these numbers: a thousand pages in each window."""
    start = pa.array(rows // _PAGES * _MINUTE_US).cast(pa.timestamp("us"))
    pages = pa.array([f"/products/{n:04}" for n in range(_PAGES)])
    changed = {
        "_op": pa.repeat(pa.scalar("u"), len(rows)),
        "window_start": start,
        "page_url": pages.take(pa.array(rows % _PAGES)),
        "view_count": pa.array(np.full(len(rows), epoch)),
    }
    landed = table.deliver(pa.table(changed), Mark(_JOB, 1, epoch))
    assert landed == len(rows)


if __name__ == "__main__":
    main(*sys.argv[1:])
