"""What a job answers when the machine does not give it what it needs."""

from __future__ import annotations

import duckdb
import pytest

import headrace.testing
from headrace.ops.jobs import opened
from headrace.values.errors import DiskRefused
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
