"""What the tests of ingest and simulate look at: a topic's records as plain lists."""

from __future__ import annotations

from headrace.storage.topics.log import LocalTopic

Record = tuple[bytes | None, bytes]


def contents(topic: LocalTopic) -> dict[int, list[Record]]:
    """The records of each partition, in order of offset, as (key, value)."""
    found: dict[int, list[Record]] = {}
    start = topic.begin_offsets()
    while (records := topic.read(start, records_max=1 << 20)).num_rows:
        columns = (records[name].to_pylist() for name in ("partition", "key", "value"))
        for partition, key, value in zip(*columns, strict=True):
            found.setdefault(partition, []).append((key, value))
            start[partition] += 1
    return found


def values(topic: LocalTopic) -> list[bytes]:
    """All values of a topic of one partition, in order."""
    return [value for _, value in contents(topic).get(0, [])]
