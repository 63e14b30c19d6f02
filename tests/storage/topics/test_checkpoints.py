"""What every segment begins with, also where that is much."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from headrace.storage.topics.log import LocalTopic
from tests.storage.topics.model import SMALL_SEGMENTS, segment_files, values_of


def test_many_producers_do_not_make_a_segment_of_every_append(tmp_path: Path) -> None:
    topic = LocalTopic.create(tmp_path, "t", 1, limits=SMALL_SEGMENTS)
    note = {"input": "x" * 200}
    for n in range(100):
        topic.append(pa.array([b"%d" % n]), producer=f"p{n}", sequence=n, note=note)
    before = len(segment_files(topic.path))
    for n in range(100, 200):
        # Opened again, it knows as well how much of a segment is its checkpoint.
        topic = LocalTopic.open(tmp_path, "t", limits=SMALL_SEGMENTS)
        topic.append(pa.array([b"%d" % n]), producer="p0", sequence=n)
    newest = segment_files(topic.path)[-1]
    assert newest.stat().st_size > 4 * SMALL_SEGMENTS.segment_bytes, "the checkpoint is large"
    # A small append takes less than a quarter of a segment.
    assert 1 < len(segment_files(topic.path)) - before <= 100 // 4 + 1
    assert values_of(topic) == [b"%d" % n for n in range(200)]
    assert {name: state.sequence for name, state in topic.producers().items()} == {
        "p0": 199,
        **{f"p{n}": n for n in range(1, 100)},
    }
