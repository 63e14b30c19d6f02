"""Conditions on results that are not exact: a row that was shown is withdrawn all the same."""

from __future__ import annotations

import headrace.testing
from tests.views.cases import thing, things


def test_a_session_is_withdrawn_though_its_sum_was_added_up_in_another_order() -> None:
    """Shown at 0.1 + 0.2 + 0.3, which is more than 0.6; settled in two parts it is 0.6."""
    app, source = things(lateness="10 seconds")
    sessions = source.session(starts="kind = 's'", timeout="1 hour").by("who")
    app.table("out", sessions.agg(total="sum(f)").where("total > 0.6"))
    with headrace.testing.run(app) as t:
        t.send("things", [thing(0, kind="s", f=0.1), thing(10, f=0.2), thing(20, f=0.3)])
        t.epoch()
        assert len(t.rows("out")) == 1
        t.send("things", [thing(21, f=-5.0)])
        t.epoch()
        assert t.rows("out") == []
        t.verify()
