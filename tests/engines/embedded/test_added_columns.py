"""Rows that were committed before their definition was given a column, delivered after it."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import headrace as hr
import headrace.testing
from headrace.ops.jobs.rebuilding import rebuild_job
from headrace.testing import Driver


class Place(hr.Struct):
    town: str


class WiderPlace(Place):
    street: str | None


class Visit(hr.Event):
    at: datetime
    who: str
    place: Place


class WiderVisit(hr.Event):
    at: datetime
    who: str
    place: WiderPlace
    note: str | None


def visits(event: type[hr.Event], *more: str, **added: str) -> hr.App:
    app = hr.App("visits")
    source = app.source(event, topic="visits", partitions=1, key="who", time="at")
    once = source.dedupe(by=("who", "at"), within="1 minute")
    app.lake("once", once)
    app.topic("told", once.select("who", *more))
    counted = source.tumble("1 second").by("who").agg(n="count(*)", **added)
    app.lake("counted", counted, emit="final")
    return app


def send(driver: Driver, second: int, **more: Any) -> None:
    place = {"town": f"t{second}", **more}
    event = {"at": datetime(2026, 1, 1, 0, 0, second), "who": "a", "place": place, **more}
    driver.send("visits", [event] * 2)


def test_they_are_null_there_and_records_stay_what_they_were() -> None:
    wider = visits(WiderVisit, "note", last="last(note)")
    with headrace.testing.run(visits(Visit)) as t:
        for second in range(3):
            send(t, second)
            # As when the process is killed behind the commit.
            assert t.runners["visits"].engine.epoch(t.clock.now_us(), 1 << 40) is not None
        t.close()
        t.plan = wider.plan
        rebuild_job(t.plan.jobs[0], t._settings)
        t.open()
        send(t, 3, note="n", street="s")
        send(t, 4)
        once = [(row["place"], row["note"]) for row in t.rows("once")]
        assert once == [({"town": f"t{n}", "street": None}, None) for n in range(3)] + [
            ({"town": "t3", "street": "s"}, "n"),
            ({"town": "t4", "street": None}, None),
        ]
        told = [json.dumps(row["value"]) for row in t.rows("told")]
        assert told == [json.dumps({"who": "a"})] * 3 + [
            json.dumps({"who": "a", "note": note}) for note in ("n", None)
        ]
        counted = [(row["n"], row["last"]) for row in t.rows("counted")]
        assert counted == [(2, None), (2, None), (2, None), (2, "n")]
        t.verify()
