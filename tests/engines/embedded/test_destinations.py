"""Opening a job's destinations."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from headrace.values.errors import TopicRefused
from tests.views.cases import things


def test_when_one_cannot_be_opened_the_others_are_stopped(tmp_path: Path) -> None:
    """Else a thread would go on with a state that is closed, until the process ends under it."""
    app, source = things()
    app.lake("everything", source)
    app.topic("copies", source)
    (tmp_path / "topics" / "copies").mkdir(parents=True)
    with pytest.raises(TopicRefused, match="copies"):
        app.run(data=tmp_path, until="caught-up")
    assert not [t.name for t in threading.enumerate() if t.name.startswith("deliver-")]
