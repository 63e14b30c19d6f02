"""Several sources in a job, several jobs in an app, several destinations of a view."""

from __future__ import annotations

from datetime import datetime

import headrace as hr
from tests.views.cases import Sent, Thing, check, thing, things


class Other(hr.Event):
    when: int
    größe: float


def test_sources_of_one_job_have_their_own_watermarks() -> None:
    app, source = things(lateness="0")
    other = app.source(Other, topic="other", time="when", time_unit="s", partitions=1)
    app.table("one", source.tumble("10 seconds").agg(n="count(*)"), emit="final")
    app.table("two", other.tumble("10 seconds").agg(total='sum("größe")'))
    app.lake("others", other)
    start = int((datetime(2026, 1, 1) - datetime(1970, 1, 1)).total_seconds())
    others = [{"when": start + s, "größe": g} for s, g in ((0, 1.5), (99, 2.0), (3, 4.0))]
    sent = [
        Sent([thing(0), thing(11)]),
        Sent(others, topic="other"),
        Sent([thing(12), thing(25)]),
    ]
    check(
        app,
        sent,
        {
            "one": ("window_start n", [(0, 1), (10, 2)]),
            "two": ("window_start total", [(0, 1.5), (90, 2.0)]),
            "others": ("größe", [(1.5,), (2.0,), (4.0,)]),
        },
        {
            "two": {"accepted": 3, "applied": 2, "late": 1},
            "things": {"read": 4, "accepted": 4},
            "other": {"read": 3, "accepted": 3},
        },
    )


def test_jobs_of_one_app_read_one_topic_each_for_itself() -> None:
    app, source = things()
    app.table("own", source.agg(n="count(*)"))
    second = app.job("second")
    again = second.source(
        Thing, topic="things", key="who", time="at", partitions=1, lateness="1 day"
    )
    second.table("also", again.tumble("10 seconds").agg(n="count(*)"))
    check(
        app,
        [thing(0), thing(30), thing(1), "{"],
        {"own": ("n", [(3,)]), "also": ("window_start n", [(0, 2), (30, 1)])},
        {"own": {"accepted": 3, "applied": 3}, "also": {"accepted": 3, "applied": 3}},
    )


def test_one_view_in_several_destinations() -> None:
    app, source = things(lateness="1 minute")
    view = source.tumble("10 seconds").by("who").agg(n="count(*)")
    app.table("rows", view)
    app.index("documents", view)
    app.ranking("best", view, score="n")
    app.wide_table("wide", view, partition_by="who", cluster_by="window_start")
    app.table("closed", view, emit="final")
    app.topic("changes", view)
    rows = ("window_start who n", [(0, "a", 2), (0, None, 1), (100, "b", 1)])
    check(
        app,
        [thing(0), thing(1, None), thing(2), thing(100, "b")],
        dict.fromkeys(("rows", "documents", "best", "wide"), rows)
        | {"closed": (rows[0], rows[1][:2])},
    )


def test_an_event_without_time() -> None:
    app = hr.App("timeless")
    source = app.source(Thing, topic="things", key="who", partitions=1)
    app.table("out", source.by("who").agg(n="count(*)", last="last(n)"))
    app.table("latest", source.select("who", "n"), key="who")
    app.table("once", source.dedupe(by=("who", "n")).agg(n="count(*)"))
    check(
        app,
        [thing(9, n=3), thing(0, n=4), thing(0, "b"), thing(5, n=3)],
        {
            "out": ("who n last", [("a", 3, 3), ("b", 1, 1)]),
            "latest": ("who n", [("a", 3), ("b", 1)]),
            "once": ("n", [(3,)]),
        },
    )
