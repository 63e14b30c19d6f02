"""Lakes and topics of views that were there before them, or that were built again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import headrace as hr
import headrace.testing
from headrace.language import Stream
from headrace.ops.jobs.rebuilding import rebuild_job
from headrace.testing import Driver
from tests.views.cases import thing, things

Define = Callable[[hr.App, Stream], None]
EVENTS = [thing(4 * i, "abc"[i % 3], n=i) for i in range(30)]
# Too late for every view with windows.
LATE = [thing(0, "a", n=100), thing(1, "d", n=101)]


def app_of(define: Define, *, lake: bool = True) -> hr.App:
    app, source = things(lateness="0s")
    if lake:
        app.lake("everything", source)
    define(app, source)
    return app


def shown(t: Driver, name: str) -> list[dict[str, Any]]:
    """What a topic tells by now: the last value of each key."""
    last: dict[tuple[int, str], Any] = {}
    for row in sorted(t.rows(name), key=lambda r: (r["partition"], r["offset"])):
        last[row["partition"], row["key"]] = row["value"]
    return sorted((v for v in last.values() if v is not None), key=str)


def plain(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of a table as JSON has them."""
    instants = {"window_start", "window_end", "session_start_time", "session_end_time"}
    return sorted(
        [
            {k: v and f"{v.isoformat()}Z" if k in instants else v for k, v in row.items()}
            for row in rows
        ],
        key=str,
    )


VIEWS: dict[str, Callable[[Stream], Any]] = {
    "totals": lambda s: s.by("who").agg(n="count(*)"),
    "windows": lambda s: s.tumble("10s").by("who").agg(n="count(*)"),
    "sliding": lambda s: s.slide("20s", every="10s").agg(n="count(*)"),
    "sessions": lambda s: s.session(gap="13s").by("who").agg(n="count(*)"),
}


@pytest.mark.parametrize("lake", [True, False], ids=["from the lake", "from the log"])
@pytest.mark.parametrize("view", VIEWS)
def test_an_output_that_is_added_to_a_view_is_told_what_was(view: str, lake: bool) -> None:
    def one(app: hr.App, source: Stream) -> None:
        app.table("t", VIEWS[view](source))

    def more(app: hr.App, source: Stream) -> None:
        made = VIEWS[view](source)
        app.table("t", made)
        app.topic("told", made)
        if view != "totals":
            app.table("closed", made, emit="final")
            app.topic("told_closed", made, emit="final")
            app.lake("kept_closed", made, emit="final")

    def finals(app: hr.App, source: Stream) -> None:
        one(app, source)
        if view != "totals":
            app.table("closed", VIEWS[view](source), emit="final")

    with headrace.testing.run(app_of(finals, lake=lake)) as t:
        t.send("things", EVENTS[:20])
        t.send("things", LATE)
        t.verify()
        t.close()
        t.plan = app_of(more, lake=lake).plan
        t.open()
        assert shown(t, "told") == plain(t.rows("t"))
        t.verify()
        told = len(t.rows("told"))
        t.restart()
        t.verify()
        assert len(t.rows("told")) == told
        t.send("things", EVENTS[20:])
        t.verify()
        t.recompute()
        t.verify()
        assert shown(t, "told") == plain(t.rows("t"))


@pytest.mark.parametrize("view", VIEWS)
def test_topics_and_lakes_of_a_view_that_is_built_again_hold_what_it_holds(view: str) -> None:
    def define(condition: str) -> Define:
        def defined(app: hr.App, source: Stream) -> None:
            made = VIEWS[view](source.where(condition))
            app.topic("told", made)
            app.table("t", made)
            if view != "totals":
                app.lake("kept_closed", made, emit="final")
                app.topic("told_closed", made, emit="final")

        return defined

    with headrace.testing.run(app_of(define("n >= 0"))) as t:
        t.send("things", EVENTS[:25])
        t.send("things", LATE)
        t.verify()
        before = shown(t, "told")
        t.close()
        # Rows are changed, closed and open ones, rows go, and with the first one windows do.
        t.plan = app_of(define("n >= 5 and n not in (9, 22, 23, 24)")).plan
        rebuild_job(t.plan.jobs[0], t._settings)
        t.open()
        assert shown(t, "told") == plain(t.rows("t")) != before
        t.verify()
        t.send("things", EVENTS[25:])
        t.verify()
        assert shown(t, "told") == plain(t.rows("t"))


def test_an_output_whose_past_nobody_can_compute_is_refused_in_words() -> None:
    def define(*names: str) -> Define:
        def defined(app: hr.App, source: Stream) -> None:
            made = source.by("who").agg(n="count(*)")
            app.table("t", made)
            for name in names:
                app.topic(name, made)

        return defined

    with headrace.testing.run(app_of(define(), lake=False)) as t:
        t.send("things", EVENTS)
        t.rows("t")
        t.restart()
        t._topics["things"].retain(1, now_us=t.clock.now_us() + 3_600_000_000)
        t.close()
        t.plan = app_of(define("told"), lake=False).plan
        with pytest.raises(hr.StateRefused, match="topic told lacks rows of view t") as found:
            t.open()
        assert "headrace state reset" in str(found.value.remedy)
        t.close()
        t.plan = app_of(define(), lake=False).plan
        t.open()
        assert sum(row["n"] for row in t.rows("t")) == 30


def test_an_output_that_is_taken_out_leaves_nothing_behind_and_may_come_back() -> None:
    def one(app: hr.App, source: Stream) -> None:
        app.table("t", source.by("who").agg(n="count(*)"))

    def both(app: hr.App, source: Stream) -> None:
        made = source.by("who").agg(n="count(*)")
        app.table("t", made)
        app.topic("told", made)
        app.topic("copies", source)

    with headrace.testing.run(app_of(both)) as t:
        t.send("things", EVENTS[:10])
        t.verify()
        t.send("things", EVENTS[10:20])
        runner = t.runners["views"]
        # Committed, and told to nobody.
        assert runner.engine.epoch(t.clock.now_us(), 1 << 40) is not None
        t.close()
        t.plan = app_of(one).plan
        t.open()
        assert t.query("select 1 from meta.outbox union all select 1 from meta.refused_rows") == []
        t.send("things", EVENTS[20:25])
        t.verify()
        t.close()
        t.plan = app_of(both).plan
        t.open()
        assert shown(t, "told") == plain(t.rows("t"))
        t.send("things", EVENTS[25:])
        t.verify()
        assert sorted(row["value"]["n"] for row in t.rows("copies")) == list(range(30))


def test_a_process_that_is_killed_before_the_outputs_are_told_tells_them_when_it_is_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def define(condition: str) -> Define:
        return lambda app, source: app.topic(
            "told", source.where(condition).by("who").agg(n="count(*)")
        )

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with headrace.testing.run(app_of(define("n >= 0"))) as t:
        t.send("things", EVENTS)
        t.verify()
        t.close()
        t.plan = app_of(define("n >= 5")).plan
        with monkeypatch.context() as patched:
            patched.setattr("headrace.proof.telling.commit", killed)
            with pytest.raises(KeyboardInterrupt):
                rebuild_job(t.plan.jobs[0], t._settings)
        t.open()
        t.verify()
        assert [row["n"] for row in shown(t, "told")] == [8, 8, 9]
