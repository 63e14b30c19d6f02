"""One view of the activity app alone: page views per minute and page."""

import headrace as hr
from headrace.apps.activity import UserActivity

app = hr.App("activity")

activity = app.source(
    UserActivity, topic="user_activity", key="user_id", time="event_time", lateness="2 minutes"
)
page_view_counts = (
    activity.where("event_type = 'page_view'")
    .tumble("1 minute")
    .by("page_url")
    .agg(view_count="count(*)")
)

app.table("page_view_counts", page_view_counts)
