"""Clicks on short links: from which countries, and which links are clicked most."""

import headrace as hr


class Click(hr.Event):
    t: int  # seconds since 1970; a heartbeat has none and becomes a dead letter
    g: str
    u: str
    hh: str
    c: str | None
    tz: str


app = hr.App("clicks")

clicks = app.source(Click, topic="clicks", key="g", time="t", time_unit="s", lateness="5 seconds")

countries = (
    clicks.tumble("1 minute")
    .by(country="coalesce(c, 'unknown')")
    .agg(clicks="count(*)", links="count(distinct g)")
)
top_links = (
    clicks.tumble("10 minutes")
    .by("g")
    .agg(clicks="count(*)", url="first(u)")
    .top(3, by="clicks", per="window_start")
)

app.table("clicks_per_country", countries)
app.table("top_links", top_links)
app.lake("clicks", clicks)
