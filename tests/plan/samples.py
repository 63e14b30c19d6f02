"""Definitions that several tests of the plan build."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Literal

import headrace.language as hr


class Click(hr.Event):
    event_time: datetime
    user_id: str
    page_url: str
    kind: Literal["view", "click"]
    amount: int
    price: Annotated[Decimal, hr.Precision(18, 2)]
    score: float
    paid: bool
    day: date
    note: str | None
    tags: list[str]


class Participant(hr.Struct):
    championName: str
    kills: int
    deaths: int
    win: bool


class Info(hr.Struct):
    gameCreation: int
    gameDuration: int
    participants: list[Participant]


class Metadata(hr.Struct):
    matchId: str


class Match(hr.Event):
    metadata: Metadata
    info: Info


class UserActivity(hr.Event):
    event_time: datetime
    user_id: str
    page_url: str
    event_type: Literal["page_view", "click", "session_start", "session_end"]


def clicks(**options: object) -> tuple[hr.Definition, hr.Stream]:
    """An app with one source of clicks: time, key user_id, 2 minutes of lateness."""
    app = hr.Definition("shop")
    given = {"key": "user_id", "time": "event_time", "lateness": "2 minutes", **options}
    return app, app.source(Click, topic="clicks", **given)  # type: ignore[arg-type]


def activity() -> hr.Definition:
    """The example of the product's page."""
    app = hr.Definition("activity")
    activity = app.source(
        UserActivity,
        topic="user_activity",
        key="user_id",
        time="event_time",
        lateness="2 minutes",
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
    app.table("session_history", sessions)
    app.table("user_sessions", sessions, key="user_id")
    dated = activity.with_columns(event_date="cast(event_time as date)")
    app.lake("activity", dated, partition_by="event_date")
    app.topic("enriched_activity", activity.with_columns(processing_time="processing_time()"))
    return app


def matches() -> tuple[hr.Definition, hr.Stream]:
    """An app with one source of nested matches, whose time is an integer inside of a struct."""
    app = hr.Definition("lol")
    stream = app.source(
        Match,
        topic="lol_matches",
        key="metadata.matchId",
        time="info.gameCreation",
        time_unit="ms",
    )
    return app, stream
