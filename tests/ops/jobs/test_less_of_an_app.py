"""Apps that have less than the state: who asks drops nothing, who runs does."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

import pytest

import headrace as hr
import headrace.testing
from headrace.engines.embedded.epochs.seeking import start_of
from headrace.ops.jobs.ask import ask
from headrace.ops.jobs.rebuilding import rebuild_job
from headrace.ops.jobs.seeking import seeking
from headrace.plan.operators import Job
from headrace.storage.state.store import StateStore
from headrace.storage.topics.log import LocalTopic
from headrace.testing.driver import Driver
from headrace.values.errors import StateRefused
from headrace.values.settings import Settings
from tests.proof.letting_go import take_all
from tests.views.cases import START, at, thing, things

ALL = ("counts", "minutes", "closed", "once", "every")
LESS = [
    ("minutes", "closed", "once", "every"),
    ("counts", "closed", "once", "every"),
    ("counts", "minutes", "once", "every"),
    ("counts", "minutes", "closed", "every"),
    ("counts",),
]


def app_of(*names: str) -> hr.App:
    app, source = things(partitions=1)
    deduped = source.dedupe(by=("who", "n"))
    if "counts" in names:
        app.table("counts", source.by("who").agg(c="count(*)"))
    if "minutes" in names:
        app.table("minutes", deduped.tumble("1 minute").by("kind").agg(c="count(*)"))
    if "closed" in names:
        app.topic("closed", deduped.tumble("10 seconds").agg(c="count(*)"), emit="final")
    if "once" in names:
        app.lake("once", deduped)
    if "every" in names:
        app.lake("every", source)
    return app


def job_of(*names: str) -> Job:
    return app_of(*names).plan.jobs[0]


def turn_to(t: Driver, app: hr.App) -> None:
    t.close()
    t.plan = app.plan
    t.open()


def store_of(settings: Settings) -> StateStore:
    return StateStore(settings.data / "jobs" / "views", threads=1, memory_limit="1GB")


def filled(t: Driver, waiting: Iterable[str]) -> Settings:
    """The job, closed; its state holds rows that wait for some outputs, and that they refused."""
    t.send("things", [thing(n, n=n % 4) for n in range(0, 60, 3)])
    t.verify()
    t.close()
    with store_of(t._settings) as store, store.transaction() as state:
        for name in waiting:
            state.execute("insert into meta.outbox values (1, ?, 'rows')", [name])
            state.execute(
                "insert into meta.refused_rows values (?, '{}', 'no', 1, 1, now()::timestamp)",
                [name],
            )
    return t._settings


def held(settings: Settings) -> dict[str, Any]:
    """Every row of every table of the state, but for the number of the start."""
    with store_of(settings) as store:
        tables = store.rows(
            "select table_schema, table_name from information_schema.tables "
            "where table_type = 'BASE TABLE' and table_catalog = current_database()"
        )
        found = {
            f"{schema}.{name}": sorted(map(repr, store.rows(f'select * from "{schema}"."{name}"')))
            for schema, name in tables
        }
    # A start has a number, and streams go by the names that the app has for them.
    found["meta.facts"] = [fact for fact in found["meta.facts"] if "incarnation" not in fact]
    return found


@pytest.mark.parametrize("names", LESS, ids=" ".join)
@pytest.mark.parametrize("asked", ["status", "query", "verify", "state-list", "letters-list"])
def test_who_asks_leaves_the_state_as_it_is(names: tuple[str, ...], asked: str) -> None:
    with headrace.testing.run(app_of(*ALL), start=START) as t:
        settings = filled(t, ({"closed", "once"} - set(names)))
        topic = LocalTopic.open(settings.data / "topics", "things")
        readers, before = topic.readers(), held(settings)
        reply = ask(job_of(*names), settings, asked, {"sql": "select 1 as n"})
        assert asked != "verify" or reply.header["holds"]
        assert held(settings) == before
        assert topic.readers() == readers


@pytest.mark.parametrize("names", LESS, ids=" ".join)
def test_what_was_asked_without_goes_on_when_it_is_put_back(names: tuple[str, ...]) -> None:
    with headrace.testing.run(app_of(*ALL), start=START) as t:
        t.send("things", [thing(n, n=n % 4) for n in range(0, 60, 3)])
        t.verify()
        t.close()
        # Nothing of it can be computed again.
        take_all(LocalTopic.open(t._settings.data / "topics", "things"))
        for asked in ("status", "verify"):
            ask(job_of(*names), t._settings, asked)
        with seeking(job_of(*names), t._settings, None, start_of("latest")):
            pass
        t.open()
        t.send("things", [thing(n, n=n % 8) for n in range(60, 120, 3)])
        assert t.rows("counts") == [{"who": "a", "c": 40}]
        assert sum(row["c"] for row in t.rows("minutes")) == t.counts("minutes")["applied"] == 8
        assert len(t.rows("once")) == 8 and len(t.rows("every")) == 40
        t.verify()


@pytest.mark.parametrize("names", LESS, ids=" ".join)
def test_who_runs_drops_what_is_gone(names: tuple[str, ...]) -> None:
    gone = set(ALL) - set(names)
    with headrace.testing.run(app_of(*ALL), start=START) as t:
        settings = filled(t, gone & {"closed", "once"})
        t.plan = app_of(*names).plan
        t.open()
        t.send("things", [thing(130, n=9)])
        t.verify()
        t.close()
        found = held(settings)
        tables = {name.partition(".")[2].partition(":")[0] for name in found if "meta" not in name}
        # What a stream remembers stays: it goes on where it was once it is put back.
        assert not tables & (gone - {"once"}) and tables >= set(names) - {"every"}
        for name in gone & {"closed", "once"}:
            assert not any(name in row for row in found["meta.outbox"] + found["meta.refused_rows"])
        views = {row.split("'")[1] for row in found["meta.views"]}
        assert views == set(names) & {"counts", "minutes", "closed"}


@pytest.mark.parametrize("asked", ["recompute", "letters-replay"])
def test_what_would_be_missed_is_refused_until_somebody_runs_it(asked: str) -> None:
    with headrace.testing.run(app_of(*ALL), start=START) as t:
        t.send("things", [thing(n, n=n) for n in range(40)])
        t.verify()
        t.close()
        with pytest.raises(StateRefused, match="closed in its state") as refused:
            ask(job_of("counts", "minutes", "once", "every"), t._settings, asked)
        assert "headrace run APP" in str(refused.value.remedy)
        ask(job_of("counts", "minutes", "once", "every"), t._settings, "recompute", {"dry_run": 1})
        t.plan = app_of("counts", "minutes", "once", "every").plan
        t.open()
        t.close()
        ask(t.plan.jobs[0], t._settings, asked)


def test_rows_that_wait_to_be_shown_are_not_shown_past_what_is_gone() -> None:
    """A topic of a sliding view would lack them when it is put back."""

    def sliding(*, topic: bool) -> hr.App:
        app, source = things()
        windows = source.slide("1 minute", every="10 seconds").agg(c="count(*)")
        app.table("served", windows)
        if topic:
            app.topic("told", windows)
        return app

    with headrace.testing.run(sliding(topic=True), start=START) as t:
        [runner] = t.runners.values()
        for n in range(3):
            t.send("things", [thing(n)])
            t.epoch()
            # As when it is killed within the next second: what changed was not shown.
            runner.engine._shown_at = time.monotonic() + 1e6
        t.close()
        with pytest.raises(StateRefused, match="told in its state"):
            ask(sliding(topic=False).plan.jobs[0], t._settings, "verify")
        assert ask(sliding(topic=True).plan.jobs[0], t._settings, "verify").header["holds"]


def test_a_stream_by_the_name_of_a_view_that_is_gone_is_not_made_in_passing() -> None:
    def orders(*, view: bool) -> hr.App:
        app, source = things()
        once = source.dedupe(by=("who", "n"))
        if view:
            app.table("orders", once.by("who").agg(c="count(*)"))
        else:
            app.lake("orders", source.where("n > 0"))
        app.table("totals", source.agg(c="count(*)"))
        return app

    with headrace.testing.run(orders(view=True), start=START) as t:
        t.send("things", [thing(n, n=n % 2) for n in range(4)])
        t.verify()
        t.close()
        with pytest.raises(StateRefused, match="a stream goes by that name"):
            ask(orders(view=False).plan.jobs[0], t._settings, "status")
        t.open()
        t.send("things", [thing(5, n=1)])
        assert t.rows("orders") == [{"who": "a", "c": 2}]
        t.verify()
        turn_to(t, orders(view=False))
        t.send("things", [thing(6, n=7)])
        t.verify()


def test_a_renamed_stream_is_found_under_its_new_name_and_under_the_old_one_again() -> None:
    def large(name: str) -> hr.App:
        app, source = things()
        app.lake("every", source)
        app.lake(name, source.where("n > 1"))
        return app

    with headrace.testing.run(large("large"), start=START) as t:
        t.send("things", [thing(n, n=n % 4) for n in range(20)])
        t.verify()
        t.close()
        assert ask(large("big").plan.jobs[0], t._settings, "verify").header["holds"]
        t.open()
        t.send("things", [thing(70, n=1), thing(71, n=5)])
        assert t.counts("large") == {"accepted": 22, "applied": 11, "filtered": 11}
        assert len(t.rows("large")) == 11
        t.verify()


def test_a_rebuild_that_is_refused_drops_nothing() -> None:
    def other() -> hr.App:
        app, source = things()
        app.table("others", source.by("kind").agg(c="count(*)"))
        return app

    def counts() -> hr.App:
        app, source = things()
        app.table("counts", source.by("who").agg(c="count(*)"))
        return app

    with headrace.testing.run(counts(), start=at(1_000)) as t:
        t.send("things", [thing(n) for n in range(3)])
        t.verify()
        t.restart()
        t.close()
        take_all(LocalTopic.open(t._settings.data / "topics", "things"))
        with pytest.raises(StateRefused, match="cannot be built again"):
            rebuild_job(other().plan.jobs[0], t._settings)
        t.open()
        t.send("things", [thing(4)])
        assert t.rows("counts") == [{"who": "a", "c": 4}]
        assert t.counts("counts") == {"accepted": 4, "applied": 4}


def test_a_rebuild_drops_what_is_gone() -> None:
    with headrace.testing.run(app_of("counts", "closed", "every"), start=START) as t:
        t.send("things", [thing(n, n=n % 4) for n in range(0, 60, 3)])
        t.verify()
        t.close()
        rebuild_job(job_of("minutes", "every"), t._settings)
        tables = {n.partition(":")[0] for n in held(t._settings) if n.startswith(("state", "main"))}
        assert tables == {"state.minutes", "main.minutes"}
        t.plan = app_of("minutes", "every").plan
        t.open()
        t.verify()
