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


def main(data: str, target: str) -> None:
    topic = LocalTopic.open(DataDirectory(Path(data)).topics, TOPIC)
    count = sum(topic.end_offsets())
    records = topic.read(topic.begin_offsets(), records_max=count)
    assert len(records) == count
    times = _times(records)
    order = in_order_of_arrival(
        times, records["partition"].to_numpy(), records["offset"].to_numpy()
    )
    directory = Path(target)
    directory.mkdir(parents=True)
    size = min(_FILE_RECORDS_MAX, -(-count // _FILES_MIN))
    written = 0
    for first in range(0, count, size):
        lines = records["value"].take(pa.array(order[first : first + size]))
        path = directory / f"part-{first // size:04d}.ndjson"
        written += path.write_bytes(_text(lines))
    seconds = float(times.max() - times.min()) / 1e6
    print(json.dumps({"events": count, "bytes": written, "event_seconds": seconds}))


def _times(records: pa.Table) -> npt.NDArray[np.int64]:
    """The event times in microseconds."""
    with duckdb.connect() as connection:
        connection.register("records", records.select(["value"]))
        return connection.execute(_TIMES).fetchnumpy()["us"]


def in_order_of_arrival(
    times: npt.NDArray[np.int64], partitions: npt.NDArray[np.int64], offsets: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """The numbers of the records, merged by the greatest time that their partition had shown."""
    seen = np.empty_like(times)
    for partition in np.unique(partitions):
        mine = np.flatnonzero(partitions == partition)
        assert np.all(np.diff(offsets[mine]) > 0)
        seen[mine] = np.maximum.accumulate(times[mine])
    return np.lexsort((offsets, partitions, seen))


def _text(values: pa.ChunkedArray) -> pa.Buffer:
    lines = pc.binary_join_element_wise(values.combine_chunks().cast(pa.binary()), b"\n", b"")
    return pc.binary_join(pa.ListArray.from_arrays([0, len(lines)], lines), b"")[0].as_buffer()


if __name__ == "__main__":
    main(*sys.argv[1:])
