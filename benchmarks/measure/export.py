"""Writes a topic's values as NDJSON files, in the order of arrival."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.sizes import TOPIC
from headrace.storage.layout import DataDirectory
from headrace.storage.topics.log import LocalTopic

_FILES_MIN, _FILE_RECORDS_MAX = 4, 1_000_000


def main(data: str, target: str) -> None:
    topic = LocalTopic.open(DataDirectory(Path(data)).topics, TOPIC)
    at, end = topic.begin_offsets(), topic.end_offsets()
    size = min(_FILE_RECORDS_MAX, sum(end) // _FILES_MIN + 1)
    directory = Path(target)
    directory.mkdir(parents=True)
    number = 0
    while at != end:
        records = topic.read(at, records_max=size)
        with (directory / f"part-{number:04d}.ndjson").open("wb") as file:
            for chunk in records["value"].chunks:
                file.write(_lines(chunk))
        number += 1
        for partition in range(topic.partitions):
            taken = records.filter(pc.field("partition") == partition)
            if len(taken):
                at[partition] = taken["offset"][-1].as_py() + 1
    print(json.dumps({"files": number, "records": sum(end)}))


def _lines(values: pa.Array) -> pa.Buffer:
    lines = pc.binary_join_element_wise(values.cast(pa.binary()), b"\n", b"")
    return pc.binary_join(pa.ListArray.from_arrays([0, len(lines)], lines), b"")[0].as_buffer()


if __name__ == "__main__":
    main(*sys.argv[1:])
