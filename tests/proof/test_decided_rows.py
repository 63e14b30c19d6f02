"""Rows that a floating value decides: what verify excuses, and what it does not."""

from __future__ import annotations

import headrace.testing
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
        assert (found.different, found.rows, found.late_would_change) == (0, 3, 2)
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
