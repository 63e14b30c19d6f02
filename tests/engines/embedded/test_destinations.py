"""Opening a job's destinations."""

from __future__ import annotations

import threading
from pathlib import Path

import duckdb
import pytest

import headrace.testing
from headrace.engines.embedded.deliveries import outgoing
from headrace.values.errors import DiskRefused, TopicRefused
from tests.views.cases import thing, things


def test_when_one_cannot_be_opened_the_others_are_stopped(tmp_path: Path) -> None:
    """Else a thread would go on with a state that is closed, until the process ends under it."""
    app, source = things()
    app.lake("everything", source)
    app.topic("copies", source)
    (tmp_path / "topics" / "copies").mkdir(parents=True)
    with pytest.raises(TopicRefused, match="copies"):
        app.run(data=tmp_path, until="caught-up")
    assert not [t.name for t in threading.enumerate() if t.name.startswith("deliver-")]


def test_rows_that_there_is_no_memory_for_are_told_in_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def too_large(*_: object) -> None:
        raise duckdb.OutOfMemoryException("Out of Memory Error: 1 GB")

    monkeypatch.setattr(outgoing, "rows_to_json", too_large)
    app, source = things()
    app.topic("counts", source.by("who").agg(n="count(*)"))
    with headrace.testing.run(app) as t:
        t.send("things", [thing(0)])
        with pytest.raises(DiskRefused, match="memory limit") as refused:
            t.rows("counts")
        assert "HEADRACE_MEMORY_LIMIT" in str(refused.value.remedy)
