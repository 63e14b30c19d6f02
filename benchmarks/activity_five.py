"""The activity app with five of its six outputs: all but `session_history`."""

import headrace as hr
from headrace.apps.activity import UserActivity
from headrace.apps.activity_simulation.generator import ActivityGenerator


def activity_app(*, enriched: bool = True) -> hr.App:
    """The app; without `enriched` it writes no topic, which would only grow."""
    app = hr.App("activity")
    app.generator = ActivityGenerator
    activity = app.source(
        UserActivity, topic="user_activity", key="user_id", time="event_time", lateness="2 minutes"
    )
    page_view_counts = (
        activity.where("event_type = 'page_view'")
        .tumble("1 minute")
        .by("page_url")
        .agg(view_count="count(*)")
    )
    active_users = activity.slide("5 minutes", every="1 minute").agg(
        active_user_count="approx_count_distinct(user_id)"
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
    app.table("page_view_counts", page_view_counts)
    app.table("active_users", active_users)
    app.table("user_sessions", sessions, key="user_id")
    app.lake(
        "activity",
        activity.with_columns(event_date="cast(event_time as date)"),
        partition_by="event_date",
    )
    if enriched:
        app.topic("enriched_activity", activity.with_columns(processing_time="processing_time()"))
    return app


app = activity_app()
