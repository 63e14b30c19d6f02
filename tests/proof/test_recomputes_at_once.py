"""Two recomputes of one job at once: none takes back what the other one has corrected."""

from __future__ import annotations

from typing import Any

import headrace.testing
from headrace.proof.recompute import recompute
from headrace.testing import Driver
from tests.views.cases import thing, things


def interrupted(t: Driver, *late: Any, **period: Any) -> int:
    """A recompute while which `late` comes and is recomputed; the corrections that it reports."""
    [runner] = t.runners.values()
    waiting = [late]

    def between(what: str, done: int, of: int) -> None:
        if what == "corrections" and waiting:
            t.send("things", waiting.pop())
            t.epoch()
            assert recompute(runner).corrections

    return recompute(runner, progress=between, **period).corrections


def test_the_one_that_read_less_begins_again_where_the_other_was_committed_first() -> None:
    app, source = things(lateness="0s")
    app.table("counts", source.tumble("10s").by("who").agg(n="count(*)"))
    app.table("visits", source.session(gap="5s").by("who").agg(n="count(*)"))
    app.topic("told", source.tumble("10s").agg(n="count(*)"), emit="final")
    with headrace.testing.run(app) as t:
        t.send("things", [thing(1), thing(31), thing(61)])
        t.verify()
        t.send("things", [thing(2)])
        t.verify()
        assert interrupted(t, thing(3), thing(4)) == 0, "the other one has done all"
        t.verify()
        assert t.rows("counts")[0]["n"] == t.rows("visits")[0]["n"] == 4
        t.send("things", [thing(32)])
        t.verify()
        assert interrupted(t, thing(33), to_us=0) == 0
        t.verify()
        assert t.rows("counts")[1]["n"] == 3
        t.restart()
        t.verify()
