"""Writes a topic's values as NDJSON files in the order in which events came, for readers of files.

The log keeps the order of each partition; an append of thousands holds one partition after the
other. Here the partitions are merged by the greatest event time that each had shown.
"""

from __future__ import annotations

import sys
from pathlib import Path

import duckdb

from benchmarks.sizes import TOPIC
from headrace.storage.layout import DataDirectory
from headrace.storage.topics.log import LocalTopic

FILES = 4

_IN_ORDER = """
create temp table merged as
select line, row_number() over (order by seen, partition, "offset") as number
from (select *, max(line->>'event_time') over (
          partition by partition order by "offset" rows unbounded preceding) as seen
      from (select partition, "offset", decode(value) as line from records))
"""
_FILE = """
copy (select line from merged where number > {first} and number <= {last} order by number)
to '{path}' (format csv, header false, quote '', escape '', delimiter '\\x01')
"""


def main(data: str, target: str) -> None:
    topic = LocalTopic.open(DataDirectory(Path(data)).topics, TOPIC)
    count = sum(topic.end_offsets())
    records = topic.read(topic.begin_offsets(), records_max=count)
    assert len(records) == count
    Path(target).mkdir(parents=True)
    with duckdb.connect() as connection:
        connection.register("records", records.select(["partition", "offset", "value"]))
        connection.execute(_IN_ORDER)
        size = -(-count // FILES)
        for first in range(0, count, size):
            path = Path(target) / f"part-{first // size:04d}.ndjson"
            connection.execute(_FILE.format(first=first, last=first + size, path=path))


if __name__ == "__main__":
    main(*sys.argv[1:])
