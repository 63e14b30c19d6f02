"""Views built again while a lake is behind: what it lacks is read from the log."""

from __future__ import annotations

import shutil
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pytest

import headrace as hr
import headrace.testing
from headrace.ops.jobs.rebuilding import rebuild_job
from headrace.storage.topics.log import LocalTopic
from headrace.testing import Driver
from headrace.values.settings import load_settings
from tests.views.cases import at, thing, things


class Place(hr.Struct):
    town: str


class WiderPlace(Place):
    street: str | None


class Visit(hr.Event):
    at: datetime
    who: str
    place: Place
    places: list[Place]


class WiderVisit(hr.Event):
    at: datetime
    who: str
    place: WiderPlace
    places: list[WiderPlace]
    note: str | None
    seen: datetime | None


def commit_alone(t: Driver) -> None:
    """An epoch that no destination is told of, as when the process is killed behind the commit."""
    runner = t.runners["views"]
    assert runner.engine.epoch(t.clock.now_us(), 1 << 40) is not None


@pytest.mark.parametrize(
    ("lake_has", "log_has"), [("nothing", "all"), ("some", "all"), ("some", "the rest")]
)
def test_a_lake_that_is_behind_takes_no_event_from_a_rebuilt_view(
    lake_has: str, log_has: str
) -> None:
    app, source = things(lateness="1 minute")
    app.lake("everything", source)
    app.table("totals", source.by("who").agg(n="count(*)", all="list(n)"))
    wanted: list[dict[str, Any]] = [{"who": "a", "n": 5, "all": [0, 1, 2, 3, 4]}]
    with headrace.testing.run(app) as t:
        t.send("things", [thing(i, n=i) for i in range(3)])
        if lake_has == "some":
            assert len(t.rows("everything")) == 3
            if log_has != "all":
                t.restart()
                t._topics["things"].retain(1, now_us=t.clock.now_us() + 3_600_000_000)
                assert t._topics["things"].begin_offsets() == [3]
        t.send("things", [thing(i, n=i) for i in (3, 4)])
        commit_alone(t)
        t.close()
        rebuild_job(t.plan.jobs[0], t._settings, views=["totals"])
        t.open()
        assert t.rows("totals") == wanted
        assert len(t.rows("everything")) == 5
        assert t.counts("totals") == {"accepted": 5, "applied": 5}
        t.verify()


@pytest.mark.parametrize("torn", [None, b"", b"\0" * 300], ids=["gone", "empty", "torn"])
def test_a_lake_that_lost_a_commit_takes_no_event_from_a_rebuilt_view(torn: bytes | None) -> None:
    app, source = things(lateness="1 minute")
    app.lake("everything", source)
    app.table("totals", source.by("who").agg(n="count(*)"))
    with headrace.testing.run(app) as t:
        for n in range(3):
            t.send("things", [thing(n)])
            t.rows("everything")
        t.close()
        log = t._settings.data / "lakes" / "everything" / "_delta_log"
        *_, newest = sorted(log.glob("*.json"))
        # A power cut, or an older copy; the state has noted that the lake has it.
        (log / "_headrace_digests").unlink()
        newest.unlink()
        if torn is not None:
            newest.write_bytes(torn)
        rebuild_job(t.plan.jobs[0], t._settings, views=["totals"])
        t.open()
        assert t.rows("totals") == [{"who": "a", "n": 3}]
        assert len(t.rows("everything")) == 3
        t.verify()


@pytest.mark.parametrize(
    ("lake_lacks", "log_has"),
    [("an empty epoch", "all"), ("an empty epoch", "the rest"), ("some", "all")],
)
def test_a_lake_that_is_behind_in_joined_epochs_takes_no_event_from_a_rebuilt_view(
    lake_lacks: str, log_has: str, tmp_path: Path
) -> None:
    """Of joined epochs a lake may have some: the others are told by their offsets."""
    app, source = things(lateness="1 minute")
    app.lake("everything", source)
    app.table("slid", source.slide("1 minute", every="10 seconds").agg(n="count(*)"))
    app.table("totals", source.by("who").agg(n="count(*)"))
    with headrace.testing.run(app) as t:
        lakes = t._settings.data / "lakes"
        for n in range(4):
            t.send("things", [thing(n, n=n)])
            # Epochs that only show what the sliding view held back give a lake nothing.
            assert len(t.rows("everything")) == n + 1
            if n == 2:
                t.restart()
                shutil.copytree(lakes, tmp_path / "older")
                if log_has == "the rest":
                    t._topics["things"].retain(1, now_us=t.clock.now_us() + 3_600_000_000)
                    assert t._topics["things"].begin_offsets() == [3]
        [runner] = t.runners.values()
        with runner.store.transaction() as connection:
            runner.note(connection)
        runner.fold()
        assert len(t.query("from epochs")) == 1
        t.close()
        if lake_lacks == "some":
            shutil.rmtree(lakes)
            shutil.copytree(tmp_path / "older", lakes)
        rebuild_job(t.plan.jobs[0], t._settings, views=["totals"])
        t.open()
        assert t.rows("totals") == [{"who": "a", "n": 4}]
        assert len(t.rows("everything")) == 4
        t.verify()


def test_a_view_that_is_built_again_keeps_its_dead_letters() -> None:
    app, source = things(lateness="1 minute")
    app.lake("everything", source)
    app.table("sums", source.agg(s="sum(cast(text as bigint))"))
    with headrace.testing.run(app) as t:
        for text in ("1", "one", "2", "two"):
            t.send("things", [thing(0, text=text)])
            t.epoch()
        before = t.dead_letters()
        t.close()
        rebuild_job(t.plan.jobs[0], t._settings, views=["sums"])
        t.open()
        assert len(before) == 2 and t.dead_letters() == before
        t.verify()


def test_a_dead_letter_keeps_the_bytes_that_the_log_has_lost() -> None:
    app, source = things(lateness="1 minute")
    app.lake("everything", source)
    app.table("sums", source.agg(s="sum(cast(text as bigint))"))
    with headrace.testing.run(app) as t:
        t.send("things", [thing(0, text="one"), thing(1, text="2")])
        assert len(t.rows("everything")) == 2
        before = t.query("select * from dead_letters")
        assert [letter["view"] for letter in before] == ["sums"] and before[0]["value"]
        t.restart()
        t._topics["things"].retain(1, now_us=t.clock.now_us() + 3_600_000_000)
        assert t._topics["things"].begin_offsets() == [2]
        t.close()
        rebuild_job(t.plan.jobs[0], t._settings, views=["sums"])
        t.open()
        assert t.query("select * from dead_letters") == before
        t.verify()


def counted(**more: str) -> hr.App:
    app, source = things(lateness="1 minute")
    marked = source.session(starts="text = 's'", ends="text = 'e'", timeout="1 minute").by("who")
    app.table("sessions", marked.agg(n="count(*)"))
    app.table("recent", source.slide("1 minute", every="10 seconds").agg(n="count(*)"))
    app.topic("once", source.dedupe(by=("who", "n")))
    app.table("totals", source.by("who").agg(n="count(*)", **more))
    return app


def test_what_was_not_shown_yet_is_shown_once_a_changed_view_is_built_again() -> None:
    with headrace.testing.run(counted()) as t:
        # A sliding view is shown once a second: the process is killed before it shows the second.
        for more in (thing(0, n=0, text="s"), thing(1, n=1), thing(2, n=1)):
            t.send("things", [more])
            commit_alone(t)
        t.close()
        t.plan = counted(most="max(n)").plan
        rebuild_job(t.plan.jobs[0], t._settings)
        t.open()
        t.send("things", [thing(3, n=2, text="e")])
        assert t.rows("totals") == [{"who": "a", "n": 4, "most": 2}]
        assert [row["n"] for row in t.rows("sessions")] == [4]
        assert [row["value"]["n"] for row in t.rows("once")] == [0, 1, 2]
        assert max(row["n"] for row in t.rows("recent")) == 4
        t.verify()


def visits(event: type[hr.Event]) -> hr.App:
    app = hr.App("visits")
    source = app.source(event, topic="visits", partitions=1, key="who", time="at")
    app.lake("everything", source)
    app.table("newest", source, key="who")
    return app


def test_a_lake_lacks_the_columns_that_its_definition_was_given(tmp_path: Path) -> None:
    values = [
        f'{{"at": "2026-01-01T00:00:0{n}Z", "who": "{who}", "place": {{"town": "t{n}"}}, '
        f'"places": [{{"town": "u{n}"}}]}}'.encode()
        for n, who in enumerate("aab")
    ]
    topic = LocalTopic.create(tmp_path / "topics", "visits", 1)
    topic.append(pa.array(values))
    visits(Visit).run(until="caught-up", data=tmp_path)
    wider = visits(WiderVisit)
    with pytest.raises(hr.StateRefused, match=r"newest \(changed\)"):
        wider.run(until="caught-up", data=tmp_path)
    rebuild_job(wider.plan.jobs[0], load_settings(overrides={"data": tmp_path}))
    wider.run(until="caught-up", data=tmp_path)
    asked = "select who, place, places, note, seen from newest order by who"
    assert wider.query(asked, data=tmp_path).to_pylist() == [
        {
            "who": who,
            "place": {"town": f"t{n}", "street": None},
            "places": [{"town": f"u{n}", "street": None}],
            "note": None,
            "seen": None,
        }
        for who, n in (("a", 1), ("b", 2))
    ]
    assert all(proof.holds for proof in wider.verify(data=tmp_path))


def test_a_view_that_is_built_again_counts_the_results_that_failed() -> None:
    app, source = things(lateness="1 minute")
    app.lake("everything", source)
    app.table("sums", source.by("who").agg(s="cast(max(text) as int)"))
    with headrace.testing.run(app) as t:
        t.send(
            "things",
            [thing(0, who, text=text) for who, text in {"a": "1", "b": "x", "c": "y"}.items()],
        )
        before = t.counts("sums")
        t.close()
        rebuild_job(t.plan.jobs[0], t._settings, views=["sums"])
        t.open()
        assert before["failed_results"] == 2 and t.counts("sums") == before
        t.verify()


class Strict(hr.Event):
    at: datetime
    who: str
    kind: Literal["a"]


class Wide(hr.Event):
    at: datetime
    who: str
    kind: Literal["a", "b"]


class Wider(hr.Event):
    at: datetime
    who: str
    kind: Literal["a", "b", "c"]


def with_dedupe(event: type[hr.Event]) -> hr.App:
    app = hr.App("replayed")
    source = app.source(event, topic="things", key="who", time="at", partitions=1, lateness="0s")
    kept = source.dedupe(by="who", within="10 minutes")
    app.lake("everything", source)
    app.table("totals", kept.by("who").agg(n="count(*)", kinds="list(kind)"))
    return app


def test_replayed_dead_letters_are_duplicates_of_what_they_were_when_they_were_replayed() -> None:
    """Two replays, of records that are an hour behind: nothing they see is within the time."""
    with headrace.testing.run(with_dedupe(Strict)) as t:
        events = [(0, "u", "b"), (1, "u", "b"), (2, "u", "c"), (7200, "v", "a"), (7201, "w", "b")]
        # The second replay gives x a record before the one that the first has given it.
        events += [(7202, "w", "c"), (7202, "x", "c"), (7202, "x", "b")]
        t.send("things", [{"at": at(second), "who": who, "kind": k} for second, who, k in events])
        assert t.counts("things") == {"read": 8, "accepted": 1, "dead_lettered": 7}
        for event, accepted in ((Wide, 4), (Wider, 3)):
            t.close()
            t.plan = with_dedupe(event).plan
            t.open()
            assert t.replay() == accepted
        before = t.rows("totals"), t.counts("totals")
        assert before[0] == [
            {"who": "u", "n": 3, "kinds": ["b", "b", "c"]},
            {"who": "v", "n": 1, "kinds": ["a"]},
            {"who": "w", "n": 1, "kinds": ["b"]},
            {"who": "x", "n": 1, "kinds": ["b"]},
        ]
        t.verify()
        t.close()
        rebuild_job(t.plan.jobs[0], t._settings, views=["totals"])
        t.open()
        assert (t.rows("totals"), t.counts("totals")) == before
        t.verify()


def dotted(condition: str) -> hr.App:
    """Views whose names begin with that of another, one as a part of its state might be called."""
    app, source = things(lateness="0s")
    app.lake("everything", source)
    app.table("orders", source.where(condition).slide("20s", every="10s").agg(n="count(*)"))
    app.topic("orders.changed", source.tumble("10s").by("who").agg(n="count(*)"))
    app.topic("orders.b", source.by("who").agg(n="count(*)"))
    return app


def test_views_whose_names_begin_alike_have_states_of_their_own() -> None:
    with headrace.testing.run(dotted("n > 0")) as t:
        t.send("things", [thing(5 * i) for i in range(10)])
        t.verify()
        t.close()
        t.plan = dotted("n > 1").plan
        assert rebuild_job(t.plan.jobs[0], t._settings)["views"] == ["orders"]
        t.open()
        t.send("things", [thing(60)])
        assert [row["value"]["n"] for row in t.rows("orders.b")] == [10, 11]
        t.verify()
