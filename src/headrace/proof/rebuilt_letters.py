"""Dead letters of views that are built again: their records as events, the bytes from the log.

What the log has lost to retention the letters before still hold: it is taken from there.
"""

from __future__ import annotations

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace.engines.embedded.epochs.letters import letters_of
from headrace.engines.embedded.epochs.reading import read_all
from headrace.engines.kernel.generations import PARTITIONS_MAX
from headrace.plan.operators import Source
from headrace.storage.contract import Topic

_PLACE = ["topic_generation", "partition", "offset"]
_BEFORE = "temp._letters_before"


def keep_bytes(connection: duckdb.DuckDBPyConnection) -> None:
    """Sets aside what the dead letters hold, before those of some views go."""
    connection.execute(
        f"create or replace temp table {_BEFORE} as select topic, topic_generation, "
        '"partition", "offset", first(value) as value, first(value_bytes) as value_bytes, '
        "first(value_digest) as value_digest from meta.dead_letters where value is not null "
        "group by all"
    )


def bytes_back(connection: duckdb.DuckDBPyConnection) -> None:
    """Gives it to new letters whose records the log no longer holds."""
    connection.execute(
        "update meta.dead_letters as d set value = b.value, value_bytes = b.value_bytes, "
        f"value_digest = b.value_digest from {_BEFORE} b where d.value is null and "
        "d.view is not null and d.topic = b.topic and d.topic_generation = b.topic_generation "
        'and d."partition" = b."partition" and d."offset" = b."offset"'
    )
    connection.execute(f"drop table {_BEFORE}")


def failed_again(
    topic: Topic, source: Source, events: pa.Table, view: str, rows: pa.Table
) -> pa.Table:
    """The events of `rows` (`_row`, `_reason`), on which `view` failed, as dead letters.

    Where the log no longer holds a record its value is null, see `bytes_back`.
    """
    failing = events.take(rows.column("_row").cast(pa.int64()))
    partition = np.asarray(failing.column("_partition")) % PARTITIONS_MAX
    places = pa.table(
        {
            "topic_generation": failing.column("_topic_generation").cast(pa.string()),
            "partition": pa.array(partition, pa.int32()),
            "offset": failing.column("_offset"),
            "arrival_time": failing.column("_arrival_time"),
            "epoch": failing.column("_epoch"),
            "field": pa.nulls(len(failing), pa.string()),
            "_reason": rows.column("_reason").cast(pa.string()),
            "_nth": pa.array(np.arange(len(failing))),
        }
    )
    found = places.join(_values(topic, places), _PLACE, join_type="left outer").sort_by("_nth")
    return letters_of(found, source, view, found.column("_reason"))


def _values(topic: Topic, places: pa.Table) -> pa.Table:
    """The values of the records from the first to the last of `places` in each partition."""
    mine = places.filter(pc.equal(places.column("topic_generation"), topic.identity))
    begin, end = topic.begin_offsets(), topic.end_offsets()
    start, stop = list(begin), list(begin)
    for p in range(len(begin)):
        offsets = mine.filter(pc.equal(mine.column("partition"), p)).column("offset")
        if len(offsets):
            start[p] = max(begin[p], pc.min(offsets).as_py())
            stop[p] = min(end[p], max(start[p], pc.max(offsets).as_py() + 1))
    records = read_all(topic, start, stop).select(["partition", "offset", "value"])
    return records.append_column(
        "topic_generation", pa.repeat(pa.scalar(topic.identity), len(records))
    )
