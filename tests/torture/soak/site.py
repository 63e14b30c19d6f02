"""The app of the soak: the activity app's events, in views whose state has an end.

Windows close and are forgotten, tables keep one row for each page, user or kind of event, of which
there are only so many. What grows for ever by its nature is the lake alone.
"""

from __future__ import annotations

import headrace as hr
from headrace.apps.activity import UserActivity
from headrace.apps.activity_simulation.generator import ActivityGenerator

app = hr.App("soak")
app.generator = ActivityGenerator

activity = app.source(
    UserActivity,
    topic="user_activity",
    partitions=3,
    key="user_id",
    time="event_time",
    lateness="2 minutes",
)
page_views = (
    activity.where("event_type = 'page_view'")
    .tumble("1 minute")
    .by("page_url")
    .agg(view_count="count(*)")
)
active_users = (
    activity.slide("5 minutes", every="1 minute")
    .by("event_type")
    .agg(active_user_count="approx_count_distinct(user_id)")
)
sessions = (
    activity.session(
        starts="event_type = 'session_start'",
        ends="event_type = 'session_end'",
        timeout="30 minutes",
    )
    .by("user_id")
    .agg(event_count="count(*)")
)
visits = activity.session(gap="10 minutes").by("user_id").agg(event_count="count(*)")
pages = activity.by("page_url").agg(event_count="count(*)")

app.table("latest_page_views", page_views, key="page_url")
app.table("latest_active_users", active_users, key="event_type")
app.table("user_sessions", sessions, key="user_id")
app.index("user_visits", visits, key="user_id")
app.ranking("pages", pages, score="event_count")
app.lake("activity", activity, partition_by="event_type")
app.topic("enriched_activity", activity.with_columns(processing_time="processing_time()"))
