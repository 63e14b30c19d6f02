"""Streams into topics: the record's own text is proved against the columns that it stands for."""

from __future__ import annotations

from datetime import datetime

import headrace as hr
import headrace.testing


class Leg(hr.Struct):
    at: datetime


class Trip(hr.Event):
    rider: str
    at: datetime
    legs: list[Leg]
    first: Leg


def trip(at: str) -> dict[str, object]:
    return {"rider": "ann", "at": at, "legs": [{"at": at}], "first": {"at": at}}


def test_times_with_offsets_are_those_instants() -> None:
    app = hr.App("trips")
    trips = app.source(Trip, topic="trips", key="rider", time="at")
    app.topic("copy", trips.with_columns(loud="upper(rider)"))
    written = (
        "2026-03-01T10:00:00Z",
        "2026-03-01T10:00:00",
        "2026-03-01T10:00:00+05:30",
        "2026-03-01t10:00:00.1239999999-01:00",
    )
    with headrace.testing.run(app) as t:
        t.send("trips", [trip(at) for at in written])
        t.verify()
