"""What a job answers when the machine does not give it what it needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import duckdb
import pytest

import headrace.testing
from headrace.engines.embedded.epochs.seeking import start_of
from headrace.ops.jobs import opened, states
from headrace.ops.jobs.rebuilding import rebuild_job
from headrace.ops.jobs.seeking import seeking
from headrace.plan.operators import Job
from headrace.values.errors import DiskRefused
from headrace.values.settings import Settings
from tests.views.cases import thing, things


@pytest.mark.parametrize("request_name", ["verify", "recompute"])
@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (duckdb.OutOfMemoryException("Out of Memory Error: 1 GB"), "HEADRACE_MEMORY_LIMIT"),
        (duckdb.IOException("IO Error: No space left on device"), "space"),
    ],
)
def test_memory_and_disk_are_told_in_words(
    monkeypatch: pytest.MonkeyPatch, request_name: str, error: duckdb.Error, remedy: str
) -> None:
    def without(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(opened, request_name, without)
    app, source = things()
    app.table("counts", source.by("who").agg(n="count(*)"))
    with headrace.testing.run(app) as t:
        t.send("things", [thing(0)])
        answers = opened.handlers(t.runners["views"])
        with pytest.raises(DiskRefused, match=remedy):
            answers[request_name]({}, lambda _: None)


def ask(job: Job, settings: Settings) -> None:
    with opened.opened(job, settings):
        pass


def seek(job: Job, settings: Settings) -> None:
    with seeking(job, settings, None, start_of("latest")):
        pass


def rebuild(job: Job, settings: Settings) -> None:
    rebuild_job(job, settings, views=["counts"])


def lose(job: Job, settings: Settings) -> None:
    states.what_a_reset_loses(job.id, settings)


def reset(job: Job, settings: Settings) -> None:
    states.reset(job.id, settings)


@pytest.mark.parametrize("do", [ask, seek, rebuild, lose, reset])
def test_too_little_memory_for_the_state_is_told_in_words(
    do: Callable[[Job, Settings], None],
) -> None:
    app, source = things()
    app.table("counts", source.by("who").agg(n="count(*)"))
    with headrace.testing.run(app) as t:
        t.send("things", [thing(n, f"user {n}") for n in range(5_000)])
        t.epoch()
        t.close()
        told = []
        for limit_kb in (*range(200, 1_000, 100), *range(1_000, 16_000, 1_000)):
            try:
                do(t.plan.jobs[0], replace(t._settings, memory_limit=f"{limit_kb}KB"))
            except DiskRefused as error:
                told.append(error.what)
    assert any("memory limit is too small" in what for what in told)
