"""Records for a topic, and a plain reading of all of them."""

from __future__ import annotations

import pyarrow as pa

from headrace.storage.topics.log import LocalTopic

Record = tuple[bytes | None, bytes | None]


def record(number: int) -> Record:
    """Now and then without key, or a delete."""
    key = None if number % 7 == 0 else f"key_{number % 5}".encode()
    return key, None if number % 11 == 5 else f'{{"n":{number}}}'.encode()


def records(first: int, count: int) -> pa.Table:
    made = [record(n) for n in range(first, first + count)]
    return pa.table(
        {
            "key": pa.array([key for key, _ in made], pa.binary()),
            "value": pa.array([value for _, value in made], pa.binary()),
        }
    )


def everything(topic: LocalTopic) -> list[Record]:
    """All records, sorted, as many as the offsets promise."""
    found: list[Record] = []
    start = topic.begin_offsets()
    while start != topic.end_offsets():
        part = topic.read(start, records_max=1000).to_pylist()
        for row in part:
            found.append((row["key"], row["value"]))
            assert row["offset"] == start[row["partition"]]
            start[row["partition"]] += 1
    return sorted(found, key=repr)
