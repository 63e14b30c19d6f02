"""Edits of Wikipedia: how often each page is edited in a minute, how much each channel grows."""

from datetime import datetime

import headrace as hr


class Edit(hr.Event):
    time: datetime
    channel: str
    page: str
    user: str
    added: int
    deleted: int
    isRobot: bool
    countryName: str | None


app = hr.App("wikipedia")

edits = app.source(Edit, topic="edits", key="page", time="time")

edits_per_page = (
    edits.tumble("1 minute")
    .by("channel", "page")
    .agg(edits="count(*)", by_robots="count(*) filter (where isRobot)")
)
growth = (
    edits.slide("1 hour", every="10 minutes")
    .by("channel")
    .agg(bytes_added="sum(added)", bytes_deleted="sum(deleted)", editors="count(distinct user)")
)

app.table("edits_per_page", edits_per_page)
app.table("growth", growth)
app.lake("edits", edits)
