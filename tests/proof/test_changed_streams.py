"""Streams that feed lakes and topics: they stay as they are, else the job is refused in words."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import headrace as hr
import headrace.testing
from headrace.language import Stream
from headrace.ops.jobs.states import reset
from headrace.testing import Driver
from tests.views.cases import Thing, thing, things

EVENTS = [thing(i, "ab"[i % 2], n=i % 7) for i in range(12)]
Change = Callable[[Stream], Stream]


def app_of(change: Change, name: str = "some", *, lateness: str = "0s") -> hr.App:
    app, source = things(lateness=lateness)
    app.topic(name, change(source))
    app.lake(f"{name}_kept", change(source))
    app.lake("everything", source)
    return app


def go_on(t: Driver, app: hr.App) -> None:
    t.close()
    t.plan = app.plan
    t.open()
    t.send("things", [thing(20, n=4), thing(20, n=6)])
    t.verify()


CHANGES: dict[str, tuple[Change, Change]] = {
    "condition": (lambda s: s.where("n > 2"), lambda s: s.where("n > 5")),
    "no condition": (lambda s: s.where("n > 2"), lambda s: s.select("at", "who", "n")),
    "columns": (lambda s: s.select("who"), lambda s: s.select("who", "n")),
    "what is computed": (
        lambda s: s.select("who", m="n + 1"),
        lambda s: s.select("who", m="n + 2"),
    ),
    "duplicates": (
        lambda s: s.dedupe(by="who", within="5s"),
        lambda s: s.dedupe(by="who", within="2s"),
    ),
}


@pytest.mark.parametrize("changed", CHANGES)
def test_a_changed_stream_is_refused_under_the_old_name(changed: str) -> None:
    first, second = CHANGES[changed]
    with headrace.testing.run(app_of(first)) as t:
        t.send("things", EVENTS)
        t.verify()
        for again in range(2):
            with pytest.raises(hr.StateRefused, match="some holds rows of another stream") as found:
                go_on(t, app_of(second))
            assert "another name" in str(found.value.remedy)
            # Nor does a reset take back what it holds.
            t.close()
            if not again:
                assert reset("views", t._settings) == 2
        # The other ways on.
        go_on(t, app_of(first))
        if changed != "duplicates":
            go_on(t, app_of(second, "others"))


def test_what_rows_do_not_hang_on_may_change() -> None:
    def filtered(source: Stream) -> Stream:
        return source.where("n > 2").with_columns(twice="n * 2")

    with headrace.testing.run(app_of(filtered)) as t:
        t.send("things", EVENTS)
        t.verify()
        go_on(t, app_of(lambda s: filtered(s), lateness="1 minute"))
        go_on(
            t,
            app_of(
                lambda s: s.where("(n) >2").with_columns(twice="2*2").with_columns(twice="n * 2")
            ),
        )


def test_a_lake_of_a_whole_source_may_be_given_columns_but_no_other_ones() -> None:
    def define(**columns: str) -> hr.App:
        app, source = things(lateness="0s")
        app.lake("kept", source.with_columns(**columns) if columns else source)
        return app

    def rows(t: Driver) -> list[tuple[int, int | None]]:
        return [(row["n"], row.get("m")) for row in t.query("from lake.kept order by n")]

    with headrace.testing.run(define()) as t:
        for number, definition in enumerate((define(), define(m="length(text)"))):
            t.close()
            t.plan = definition.plan
            t.open()
            t.send("things", [thing(number, n=number)])
            t._catch_up()
        assert rows(t) == [(0, None), (1, 1)]
        t.close()
        t.plan = define(k="n", m="length(kind)").plan
        with pytest.raises(hr.StateRefused, match="kept holds column m as it was computed"):
            t.open()


def test_a_lake_of_a_whole_source_stays_with_its_topic() -> None:
    def of(topic: str) -> hr.App:
        app, source = things()
        other = app.source(Thing, topic="others", key="who", time="at", partitions=1)
        app.lake("everything", source if topic == "things" else other)
        app.table("both", source.by("who").agg(n="count(*)"))
        return app

    with headrace.testing.run(of("things")) as t:
        t.send("things", EVENTS)
        t.send("others", EVENTS)
        t.verify()
        with pytest.raises(hr.StateRefused, match="everything holds rows of another stream"):
            go_on(t, of("others"))
        t.close()
        go_on(t, of("things"))


def test_what_an_earlier_version_noted_of_a_whole_source_is_taken_as_it_is() -> None:
    with headrace.testing.run(app_of(lambda s: s)) as t:
        t.send("things", EVENTS)
        t.verify()
        (runner,) = t.runners.values()
        with runner.store.transaction():
            runner.store.set_fact("feeds everything", '{"": "all"}')
        go_on(t, app_of(lambda s: s))
        (runner,) = t.runners.values()
        assert runner.store.fact("feeds everything") == '{"": "all of things"}'


def test_a_stream_that_is_added_counts_what_was_read_before() -> None:
    def define(*more: Change) -> hr.App:
        app, source = things(lateness="0s")
        app.topic("some", source.where("n > 2"))
        for number, change in enumerate(more):
            app.topic(f"more{number}", change(source))
        return app

    failing: Change = lambda s: s.where("cast(text as int) > 0").where("n > 3", reason="few")  # noqa: E731
    with headrace.testing.run(define(failing)) as t:
        for part in (EVENTS[:5], [thing(9, text="x"), "{", *EVENTS[5:]]):
            t.send("things", part)
            t.epoch()
        wanted, letters, rows = t.counts("more0"), t.dead_letters(), t.rows("more0")
        assert wanted["failed"] == 1 and wanted["filtered: few"] and len(letters) == 2
        for definition in (define(), define(failing)):
            t.close()
            t.plan = definition.plan
            t.open()
            t.verify()
        assert (t.counts("more0"), t.dead_letters(), t.rows("more0")) == (wanted, letters, rows)
    with headrace.testing.run(define()) as t:
        for part in (EVENTS[:5], [thing(9, text="x"), "{", *EVENTS[5:]]):
            t.send("things", part)
            t.epoch()
        t.close()
        t.plan = define(failing).plan
        t.open()
        assert t.counts("more0") == wanted and len(t.dead_letters()) == 2
        t.verify()
        t.restart()
        t.verify()


def test_a_new_destination_of_a_stream_with_a_dedupe_is_refused_until_a_reset() -> None:
    def define(*names: str) -> hr.App:
        app, source = things(lateness="0s")
        for name in names:
            app.topic(name, source.dedupe(by=("who", "n"), within="5s"))
        return app

    with headrace.testing.run(define("one")) as t:
        t.send("things", [*EVENTS, *EVENTS[-3:]])
        t.verify()
        rows = t.rows("one")
        t.close()
        t.plan = define("one", "two").plan
        with pytest.raises(hr.StateRefused, match="two was not in the app when epoch 1 was"):
            t.open()
        t.close()
        reset("views", t._settings)
        t.open()
        t.verify()
        assert t.rows("one") == rows
        assert [row["value"] for row in t.rows("two")] == [row["value"] for row in rows]
        t.restart()
        t.send("things", [thing(30, n=5)])
        t.verify()
        assert len(t.rows("two")) == len(t.rows("one")) == len(rows) + 1
