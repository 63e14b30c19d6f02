"""Rows that a floating value decides: what verify excuses, and what it does not."""

from __future__ import annotations

import headrace as hr
import headrace.testing
from headrace.ops.jobs.rebuilding import rebuild_job
from headrace.proof.report import Checked
from headrace.proof.verify import verify
from headrace.testing import Driver
from tests.views.cases import thing, things


def proved(t: Driver, name: str) -> Checked:
    t._catch_up()
    return next(c for c in verify(t.runners["views"]).checked if c.name == name)


def test_nonsense_in_a_ranking_by_a_mean_is_found() -> None:
    app, source = things()
    ranked = source.tumble("1 minute").by("who").agg(mean="avg(f)", n="count(*)").top(2, by="mean")
    app.table("top", ranked)
    app.table("some", source.by("who").agg(mean="avg(f)").where("mean > 1.5"))
    with headrace.testing.run(app) as t:
        t.send("things", [thing(i, who, f=i + 1) for i, who in enumerate("abcb")])
        t.send("things", [thing(120), thing(5, "a", f=9.0)])
        found = proved(t, "top")
        # By the late one a is the first, b the second, and c is none of them.
        assert (found.different, found.rows, found.late_would_change) == (0, 3, 3)
        assert "floating" in (found.note or "")
        assert [proved(t, "some").rows, proved(t, "some").different] == [3, 0]
        connection = t.runners["views"].store.connection
        for sql, different in (
            ("update main.top set mean = 7, n = 9 where who = 'c'", 1),
            ("delete from main.top where who = 'c'", 1),
            ("insert into main.top select * replace ('d' as who) from main.top where who = 'b'", 2),
        ):
            connection.execute(sql)
            assert proved(t, "top").different == different
        connection.execute("update main.some set mean = 7 where who = 'b'")
        connection.execute("insert into main.some values ('z', 2.0)")
        assert proved(t, "some").different == 2


def test_a_recompute_writes_the_batch_result_of_a_ranking_by_a_mean() -> None:
    """Where several rows are equally good as the last one, too."""
    app, source = things()
    ranked = source.tumble("1 minute").by("who").agg(mean="avg(f)").top(2, by="mean")
    app.table("top", ranked)
    app.topic("told", ranked)
    with headrace.testing.run(app) as t:
        t.send("things", [thing(i, who, f=f) for i, (who, f) in enumerate([("a", 9), ("c", 5)])])
        t.send("things", [thing(120), thing(5, "b", f=5.0), thing(6, "d", f=5.0)])
        assert [row["who"] for row in t.rows("top")][:2] == ["a", "c"]
        t.recompute()
        assert [row["who"] for row in t.rows("top")][:2] == ["a", "b"]
        assert proved(t, "top").different == proved(t, "told").different == 0


def test_what_late_events_decide_is_corrected() -> None:
    """Where nothing else of a row differs, too."""
    app, source = things(lateness="0s")
    level = "case when avg(f) > 6 then 'hot' else 'cold' end"
    windows = source.tumble("1 minute").by("who")
    made = windows.agg(level=level, low=f"approx_quantile(f, 0.5) > 6 and {level} = 'hot'")
    app.table("levels", made)
    app.topic("told_levels", made, emit="final")
    app.table("top", windows.agg(mean="avg(f)").top(2, by="mean"))
    with headrace.testing.run(app) as t:
        t.send("things", [thing(1, "c", f=5.0), thing(2, "a", f=9.0), thing(120)])
        assert proved(t, "levels").different == 0
        t.send("things", [thing(3, "c", f=50.0), thing(4, "b", f=20.0)])
        found = proved(t, "levels")
        # c, and b, which is new.
        assert (found.different, found.late_would_change) == (0, 2)
        (report,) = t.recompute()
        shown = {row["who"]: (row["level"], row["low"]) for row in t.rows("levels")[:3]}
        assert shown == {"a": ("hot", True), "b": ("hot", True), "c": ("hot", True)}
        told = {r["value"]["who"]: r["value"]["level"] for r in t.rows("told_levels")}
        assert told == {"a": "hot", "b": "hot", "c": "hot"}
        ranks = [(row["rank"], row["who"]) for row in t.rows("top") if row["mean"] != 1.0]
        assert sorted(ranks) == [(1, "c"), (2, "b")]
        t.verify()
        assert [again.corrections for again in t.recompute()] == [0]
        connection = t.runners["views"].store.connection
        connection.execute("update main.levels set level = 'cold' where who = 'c'")
        connection.execute("update main.top set rank = 1 where who = 'b'")
        assert (proved(t, "levels").different, proved(t, "top").different) == (1, 1)
        t.recompute()
        t.verify()


def test_a_view_whose_condition_was_changed_tells_what_it_decides_now() -> None:
    def app_of(limit: int) -> hr.App:
        app, source = things(lateness="0s")
        level = f"case when avg(f) > {limit} then 'hot' else 'cold' end"
        made = source.tumble("1 minute").by("who").agg(level=level)
        app.lake("everything", source)
        app.topic("told", made, emit="final")
        app.lake("kept", made, emit="final")
        return app

    with headrace.testing.run(app_of(6)) as t:
        t.send("things", [thing(1, "a", f=5.0), thing(120)])
        t.verify()
        t.close()
        t.plan = app_of(3).plan
        rebuild_job(t.plan.jobs[0], t._settings)
        t.open()
        assert [row["value"]["level"] for row in t.rows("told")] == ["cold", "hot"]
        assert [row["level"] for row in t.rows("kept")] == ["cold", "hot"]
        t.verify()
