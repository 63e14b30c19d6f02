"""What a new generation takes back of a topic of changes, before it tells its own.

Tables elsewhere are replaced in one delivery. Of a topic, a key that an earlier generation told and
this one never comes by (a session that other events join now) would stand for ever: each key that
the topic shows is deleted first, in the delivery that brings the first rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import duckdb
import pyarrow as pa

from headrace.engines.embedded.outgoing import RECORD
from headrace.engines.embedded.targets import target_of
from headrace.plan.operators import Job, Output, View
from headrace.storage.contract import Kept, Snapshot, TopicSnapshot
from headrace.storage.systems import Systems
from headrace.values.schema import literal

_PIECE_RECORDS = 100_000


def begins_anew(job: Job, output: Output) -> bool:
    """Whether `output` is a topic that tells the changes of a view."""
    changes = output.role == "topic" and output.emit == "changes"
    return changes and isinstance(job.input_of(output), View)


def withdrawals(
    connection: duckdb.DuckDBPyConnection, systems: Systems, job: Job, output: Output
) -> pa.Table | None:
    """Deletes (a key, a null value) of all rows that the topic shows; None where there are none.

    A record that is no row of the view is another's, and stays. So does everything where others are
    known to write there too: whose a row is, cannot be told then.
    """
    connection.execute(
        "create or replace temp table _shown (key blob, part integer, place bigint, ours boolean)"
    )
    columns = ", ".join(literal(c.name) for c in job.input_of(output).columns)
    ours = f"coalesce(try(json_keys(decode(value))) = [{columns}], false)"
    with systems.snapshots([target_of(job, output)]) as snapshots:
        snapshot = snapshots.get(output.name)
        if kept(systems, job, output, snapshot).others:
            return None
        for piece in _pieces(systems, job, output, snapshot):
            connection.register("_piece", piece)
            connection.execute(
                'insert into _shown select key, "partition", "offset", '
                f"{ours} from _piece where key is not null "
                'qualify row_number() over (partition by key, "partition" order by "offset" desc) '
                "= 1"
            )
            connection.unregister("_piece")
    keys = connection.sql(
        "select distinct key from (select key, arg_max(ours, place) as ours from _shown "
        "group by key, part) where ours order by all"
    ).to_arrow_table()
    connection.execute("drop table _shown")
    if not keys.num_rows:
        return None
    nothing = pa.nulls(keys.num_rows, pa.binary())
    return pa.table([keys.column("key").cast(pa.binary()), nothing], schema=RECORD)


def kept(systems: Systems, job: Job, output: Output, snapshot: Snapshot | None) -> Kept:
    """What the topic of `output` still has and who else writes there, in `snapshot` if it has one.

    Without one it is a local topic.
    """
    if snapshot is not None:
        return cast(TopicSnapshot, snapshot).kept(target_of(job, output))
    mine = f"{job.id}/{output.name}"
    topic = systems.local_topic(output.name, output.partitions)
    others = set(topic.producers()) - {mine, f"{mine}/starts"}
    return Kept(tuple(topic.begin_offsets()), others=tuple(sorted(others)))


def _pieces(
    systems: Systems, job: Job, output: Output, snapshot: Snapshot | None
) -> Iterator[pa.Table]:
    """All records that are there, as contract.RECORDS."""
    if snapshot is not None:
        for batch in snapshot.rows(target_of(job, output)):
            yield pa.Table.from_batches([batch])
        return
    topic = systems.local_topic(output.name, output.partitions)
    at, ends = topic.begin_offsets(), topic.end_offsets()
    while any(a < e for a, e in zip(at, ends, strict=True)):
        fetched = topic.fetch(at, ends, records_max=_PIECE_RECORDS)
        at = fetched.next_offsets
        yield fetched.records
