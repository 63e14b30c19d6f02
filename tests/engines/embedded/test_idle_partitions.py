"""A silent partition holds the others back, unless it never spoke or is idle for its timeout."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import headrace as hr
import headrace.testing


class Tick(hr.Event):
    at: datetime


def make(idle_timeout: str | None) -> hr.App:
    app = hr.App("t")
    ticks = app.source(Tick, topic="ticks", time="at", partitions=2, idle_timeout=idle_timeout)
    app.table("closed", ticks.tumble("1 minute").agg(n="count(*)"), emit="final")
    return app


def minute(number: int) -> dict[str, Any]:
    return {"at": f"2026-01-01T00:{number:02}:30Z"}


def test_a_partition_that_never_spoke_holds_nobody_back() -> None:
    with headrace.testing.run(make(None)) as t:
        t.send("ticks", [minute(0), minute(5)], partition=0)
        t.epoch()
        assert [r["n"] for r in t.rows("closed")] == [1]


def test_a_silent_partition_holds_the_others_back() -> None:
    with headrace.testing.run(make(None)) as t:
        t.send("ticks", [minute(0)], partition=1)
        t.send("ticks", [minute(0), minute(5)], partition=0)
        t.epoch()
        t.advance(timedelta(hours=1))
        t.epoch()
        assert t.rows("closed") == []


def test_an_idle_partition_is_left_out_after_its_timeout_even_without_new_records() -> None:
    with headrace.testing.run(make("10 minutes")) as t:
        t.send("ticks", [minute(0)], partition=1)
        t.send("ticks", [minute(0), minute(5)], partition=0)
        t.epoch()
        t.advance(timedelta(minutes=9))
        t.epoch()
        assert t.rows("closed") == []
        t.send("ticks", [minute(5)], partition=0)
        t.epoch()
        t.advance(timedelta(minutes=2))
        t.epoch()
        assert [r["n"] for r in t.rows("closed")] == [2]


def test_a_clock_that_ran_ahead_for_a_while_keeps_nobody_from_being_idle() -> None:
    """An epoch's time never goes back; who is idle is told by the clock."""
    with headrace.testing.run(make("10 minutes")) as t:
        t.advance(timedelta(days=1))
        t.send("ticks", [minute(0)], partition=1)
        t.send("ticks", [minute(0)], partition=0)
        t.epoch()
        t.advance(timedelta(days=-1))
        t.send("ticks", [minute(5)], partition=0)
        t.epoch()
        assert t.rows("closed") == []
        t.advance(timedelta(minutes=11))
        t.send("ticks", [minute(5)], partition=0)
        t.epoch()
        assert [r["n"] for r in t.rows("closed")] == [2]
        t.verify()
