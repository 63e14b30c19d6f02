"""A topic whose records retention has taken."""

from __future__ import annotations

import time

from headrace.storage.topics.log import LocalTopic


def take_all(topic: LocalTopic) -> None:
    """Retention takes every record that is there."""
    deadline = time.monotonic() + 60
    while topic.begin_offsets() != topic.end_offsets():
        assert time.monotonic() < deadline, "retention took nothing"
        topic.retain(1, 1)
        time.sleep(0.01)
