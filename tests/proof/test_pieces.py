"""A past that is gone through in pieces: the same rows and proof, however small they are."""

from __future__ import annotations

from typing import Any

import pytest

import headrace as hr
import headrace.testing
from headrace.ops.jobs.rebuilding import rebuild_job
from headrace.proof import from_log, rebuild
from headrace.testing import Driver
from tests.views.cases import thing, things

RECORDS, LATE_EVERY, PIECE = 36, 7, 5


def every_window() -> hr.App:
    app, source = things(partitions=3, lateness="3 seconds")
    once = source.dedupe(by=("who", "n"), within="10 seconds")
    app.table("tumbled", source.tumble("10 seconds").by("who").agg(c="count(*)", last="last(n)"))
    app.table("gaps", source.session(gap="4 seconds").by("who").agg(all="list(n)"))
    app.table("totals", source.by("who").agg(c="count(*)", total="sum(n)"))
    app.table("deduped", once.tumble("10 seconds").agg(c="count(*)"))
    return app


def read_in_small_epochs(t: Driver) -> None:
    for number in range(RECORDS):
        second = number - 20 * (number % LATE_EVERY == 0)
        t.send("things", [thing(second, "abc"[number % 3], n=number // 2)])
        if number % 4 == 3:
            t.epoch()


def rows(t: Driver) -> dict[str, Any]:
    [job] = t.plan.jobs
    return {o.name: sorted(t.rows(o.name), key=repr) for o in job.outputs}


def test_a_log_is_read_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    with headrace.testing.run(every_window()) as t:
        read_in_small_epochs(t)
        [whole] = t.verify()
        monkeypatch.setattr(from_log, "_CHUNK_RECORDS", PIECE)
        [found] = t.verify()
        assert found.events == whole.events
        t.recompute()
        t.verify()


def test_views_are_built_again_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    with headrace.testing.run(every_window()) as t:
        read_in_small_epochs(t)
        t.recompute()
        wanted, [job] = rows(t), t.plan.jobs
        t.close()
        monkeypatch.setattr(rebuild, "_PIECE_RECORDS", PIECE)
        rebuild_job(job, t._settings, views=[view.name for view in job.views])
        t.open()
        assert rows(t) == wanted
        t.verify()
