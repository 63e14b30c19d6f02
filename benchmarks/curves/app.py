"""The app whose cost is measured, for a point of a curve."""

from __future__ import annotations

from datetime import datetime

import headrace as hr
from benchmarks.curves.points import Point

TOPIC = "readings"


class Reading(hr.Event):
    """A number that somebody sent."""

    at: datetime
    who: str
    amount: int
    note: str


def app_of(point: Point) -> hr.App:
    """The app with as many views as the point has."""
    app = hr.App("growth")
    lateness = f"{max(1, point.windows)} seconds"
    readings = app.source(
        Reading, topic=TOPIC, key="who", time="at", partitions=point.partitions, lateness=lateness
    )
    if point.running:
        app.table("totals", readings.by("who").agg(n="count(*)", total="sum(amount)"))
        return app
    for number in range(1, point.views + 1):
        size = "1 second" if point.windows else f"{number} minutes"
        counts = readings.tumble(size).by("who").agg(n="count(*)", total="sum(amount)")
        app.table(f"counts_{number}", counts)
    return app


def counted(point: Point) -> str:
    """Asks what all views have counted, summed: every event as often as there are views."""
    tables = ["totals"] if point.running else [f"counts_{n}" for n in range(1, point.views + 1)]
    sums = (f"(select coalesce(sum(n), 0) from {table})" for table in tables)
    return f"select ({' + '.join(sums)})::bigint as n"
