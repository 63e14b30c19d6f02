"""What is wrong with a topic that has other partitions than declared."""

from __future__ import annotations

from headrace.values.errors import TopicRefused


def other_partitions(name: str, there: int, declared: int) -> TopicRefused:
    """The error for a topic that places keys otherwise than declared."""
    return TopicRefused(
        f'Topic "{name}" has {there} partitions, not {declared}: keys would move to others',
        remedy=f"Declare {there} partitions, or use another topic.",
    )
