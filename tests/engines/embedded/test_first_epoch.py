"""A start reads little at first, so that something shows soon, and then all it may."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from headrace.engines.embedded.epochs import sources
from headrace.storage.topics.log import LocalTopic
from tests.views.cases import things


def test_the_first_epoch_of_each_start_is_small(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "_FIRST_RECORDS", 50)
    monkeypatch.setattr(sources, "_AHEAD_RECORDS", 10)
    monkeypatch.setenv("HEADRACE_EPOCH_RECORDS_MAX", "200")
    app, source = things()
    app.table("totals", source.agg(n="count(*)"))
    topic = LocalTopic.ensure(tmp_path / "topics", "things", 1)
    line = b'{"id": "a", "at": "2026-01-01T00:00:00Z"}'
    sizes = []
    for _ in range(2):
        for _ in range(50):
            topic.append(pa.array([line] * 10))
        app.run(until="caught-up", data=tmp_path)
        found = app.query("select records from epochs order by epoch", data=tmp_path)
        sizes.append(found["records"].to_pylist())
    assert sizes == [[50, 200, 200, 50], [50, 200, 200, 50] * 2]
