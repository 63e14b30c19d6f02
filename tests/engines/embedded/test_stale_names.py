"""A view that has the name which a stream had before, in states of earlier versions."""

from __future__ import annotations

import pytest

import headrace as hr
import headrace.testing
from headrace.ops.jobs.rebuilding import rebuild_job
from headrace.testing import Driver
from headrace.values.errors import UsageError
from tests.views.cases import START, thing, things


def app_of(*names: str, view: bool = False) -> hr.App:
    app, source = things()
    if view:
        app.table("orders", source.where("n > 0").by("who").agg(c="count(*)"))
    for name in names:
        app.lake(name, source)
    return app


def turn_to(t: Driver, app: hr.App, *, rebuilt: bool = False) -> None:
    t.close()
    t.plan = app.plan
    if rebuilt:
        rebuild_job(t.plan.jobs[0], t._settings)
    t.open()


def test_a_view_keeps_its_state_when_its_name_was_that_of_a_stream() -> None:
    """Earlier versions left behind what had been noted of the stream."""
    with headrace.testing.run(app_of("orders"), start=START) as t:
        t.send("things", [thing(n, n=n) for n in range(3)])
        assert len(t.rows("orders")) == 3
        [noted] = t.runners["views"].store.facts("stream ").items()
        turn_to(t, app_of(view=True), rebuilt=True)
        assert t.rows("orders") == [{"who": "a", "c": 2}]
        store = t.runners["views"].store
        assert store.fact(noted[0]) is None
        with store.transaction():
            store.set_fact(*noted)
        before = t.counts("orders")
        turn_to(t, app_of("archive", view=True))
        t.send("things", [thing(3, n=3), thing(4, n=0)])
        assert t.rows("orders") == [{"who": "a", "c": 3}]
        assert before == {"accepted": 3, "applied": 2, "filtered": 1}
        assert t.counts("orders") == {"accepted": 5, "applied": 3, "filtered": 2}
        assert len(t.rows("archive")) == t.counts("archive")["applied"] == 5
        t.verify()
        assert set(t.runners["views"].store.facts("stream ")) == {"stream archive"}


def test_a_stream_may_leave_its_name_to_a_new_view() -> None:
    """At the same time it goes by another name: its sums go with it."""
    with headrace.testing.run(app_of("orders"), start=START) as t:
        t.send("things", [thing(n, n=n) for n in range(3)])
        assert len(t.rows("orders")) == 3
        turn_to(t, app_of("archive", view=True), rebuilt=True)
        t.send("things", [thing(3, n=3)])
        assert t.rows("orders") == [{"who": "a", "c": 3}]
        assert len(t.rows("archive")) == t.counts("archive")["applied"] == 4
        t.verify()


def test_a_stream_does_not_go_on_with_what_a_view_of_its_name_counted() -> None:
    def turned(*, view: bool) -> hr.App:
        app, source = things()
        once = source.where("n > 0").dedupe(by=("who", "n"))
        if view:
            app.table("orders", once.tumble("1 second").agg(c="count(*)"))
        else:
            app.lake("orders", source.explode("items", name="item"))
        app.table("totals", source.agg(c="count(*)"))
        return app

    with headrace.testing.run(turned(view=True), start=START) as t:
        t.send("things", [thing(n, n=n % 2, items=[1, 2]) for n in (5, 1, 2)])
        assert t.counts("orders") == {"accepted": 3, "applied": 1, "filtered": 1, "duplicate": 1}
        turn_to(t, turned(view=False))
        assert t.counts("orders") == {"accepted": 3, "applied": 3}
        t.verify()


def test_a_table_that_was_taken_out_is_not_served_on() -> None:
    """Nobody would change it; who asks is told that there is none."""
    app, source = things()
    app.table("orders", source.by("who").agg(c="count(*)"))
    app.table("totals", source.by("kind").agg(c="count(*)"))
    fewer, again = things()
    fewer.table("totals", again.by("kind").agg(c="count(*)"))
    with headrace.testing.run(app, start=START) as t:
        t.send("things", [thing(0)])
        assert len(t.rows("orders")) == len(t.rows("totals")) == 1
        turn_to(t, fewer, rebuilt=True)
        t.send("things", [thing(1)])
        assert [row["c"] for row in t.rows("totals")] == [2]
        with pytest.raises(UsageError, match="orders"):
            t.query("select * from orders")
        t.verify()
