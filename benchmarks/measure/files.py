"""Writes a topic's values as NDJSON files in the order in which events came, for readers of files.

The log keeps the order of each partition; an append of thousands holds one partition after the
other. Here the partitions are merged by the greatest event time that each had shown. Says what
the events are like.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.sizes import TOPIC
from headrace.storage.layout import DataDirectory
from headrace.storage.topics.log import LocalTopic

_FILES_MIN, _FILE_RECORDS_MAX = 4, 1_000_000
_TIMES = "select epoch_us((decode(value)->>'event_time')::timestamp) as us from records"
_DISTINCT = """
select count(distinct e.user_id), count(distinct e.page_url) from (
    select from_json(decode(value), '{"user_id": "VARCHAR", "page_url": "VARCHAR"}') as e
    from records)
"""


def main(data: str, target: str) -> None:
    topic = LocalTopic.open(DataDirectory(Path(data)).topics, TOPIC)
    count = sum(topic.end_offsets())
    records = topic.read(topic.begin_offsets(), records_max=count)
    assert len(records) == count
    times, users, pages = _members(records)
    partitions, offsets = records["partition"].to_numpy(), records["offset"].to_numpy()
    seen = seen_us(times, partitions, offsets)
    order = np.lexsort((offsets, partitions, seen))
    directory = Path(target)
    directory.mkdir(parents=True)
    size = min(_FILE_RECORDS_MAX, -(-count // _FILES_MIN))
    written = 0
    for first in range(0, count, size):
        lines = records["value"].take(pa.array(order[first : first + size]))
        path = directory / f"part-{first // size:04d}.ndjson"
        written += path.write_bytes(_text(lines))
    behind = (seen - times) / 1e6
    like = {"event_seconds": float(times.max() - times.min()) / 1e6, "users": users, "pages": pages}
    like |= {"behind_max_seconds": float(behind.max())}
    like |= {"behind_p99_seconds": float(np.percentile(behind, 99))}
    print(json.dumps({"events": count, "bytes": written} | like))


def _members(records: pa.Table) -> tuple[npt.NDArray[np.int64], int, int]:
    """The event times in microseconds, and how many users and pages there are."""
    with duckdb.connect() as connection:
        connection.register("records", records.select(["value"]))
        times = connection.execute(_TIMES).fetchnumpy()["us"]
        ((users, pages),) = connection.execute(_DISTINCT).fetchall()
    return times, users, pages


def seen_us(
    times: npt.NDArray[np.int64], partitions: npt.NDArray[np.int64], offsets: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """For each record the greatest time that its partition had shown with it."""
    seen = np.empty_like(times)
    for partition in np.unique(partitions):
        mine = np.flatnonzero(partitions == partition)
        assert np.all(np.diff(offsets[mine]) > 0)
        seen[mine] = np.maximum.accumulate(times[mine])
    return seen


def _text(values: pa.ChunkedArray) -> pa.Buffer:
    lines = pc.binary_join_element_wise(values.combine_chunks().cast(pa.binary()), b"\n", b"")
    return pc.binary_join(pa.ListArray.from_arrays([0, len(lines)], lines), b"")[0].as_buffer()


if __name__ == "__main__":
    main(*sys.argv[1:])
