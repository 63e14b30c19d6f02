"""All records of a topic, read while others append to it and retention takes from it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa

from headrace.storage.contract import Topic
from headrace.values.errors import TopicRefused


def all_records(
    topic: Topic, ends: Sequence[int] | None = None, *, records_max: int
) -> Iterator[pa.Table]:
    """What is there up to `ends`, by default the present ones: pieces as `Topic.fetch` gives them.

    What retention takes before it was read is left out. Errors as `topic`.
    """
    at, ends = topic.begin_offsets(), topic.end_offsets() if ends is None else ends
    while any(a < end for a, end in zip(at, ends, strict=True)):
        try:
            stop = [max(a, end) for a, end in zip(at, ends, strict=True)]
            fetched = topic.fetch(at, stop, records_max=records_max)
        except TopicRefused:
            begin = topic.begin_offsets()
            if all(b <= a for a, b in zip(at, begin, strict=True)):
                raise
            at = [max(a, b) for a, b in zip(at, begin, strict=True)]
            continue
        at = fetched.next_offsets
        if len(fetched.records):
            yield fetched.records
