"""An output of a job as the systems see it, and the destination that plays it."""

from __future__ import annotations

import duckdb
import pyarrow as pa

from headrace.engines.embedded.epochs.engine import JobEngine
from headrace.engines.embedded.epochs.tables import empty_relation
from headrace.plan.operators import TABLE_ROLES, Explode, Job, Output, Project, Stream, View
from headrace.plan.types import as_key
from headrace.storage.contract import Destination, Snapshot, Target
from headrace.storage.lake.lake import DeltaLake
from headrace.storage.outbound.topic_writer import TopicWriter
from headrace.storage.systems import Systems
from headrace.values.schema import quote

LAKE_COLUMNS = (
    ("_topic", pa.string()),
    ("_topic_generation", pa.string()),
    ("_partition", pa.int32()),
    ("_offset", pa.int64()),
    ("_replay", pa.int64()),
    ("_arrival_time", pa.timestamp("us")),
    ("_epoch", pa.int64()),
    ("_late", pa.list_(pa.string())),
)
FINAL_COLUMNS = (
    ("_epoch", pa.int64()),
    ("_correction", pa.bool_()),
    ("_withdrawn", pa.bool_()),
)


def target_of(job: Job, output: Output) -> Target:
    """What a system is told of an output."""
    columns: tuple[tuple[str, str], ...] = (("key", "BLOB"), ("value", "BLOB"))
    required: tuple[str, ...] = ("key",) if _always_keyed(job, output) else ()
    if output.role in TABLE_ROLES:
        columns = tuple((c.name, c.type) for c in job.input_of(output).columns)
        required = _never_null(job, output)
    return Target(
        job.id,
        output.name,
        output.role,
        columns,
        output.key,
        output.order,
        output.partitions,
        required,
    )


def _always_keyed(job: Job, output: Output) -> bool:
    """Whether every record of a topic has a key: null or of several columns, it stands as JSON.

    But for a stream's key of one column, whose text is the key.
    """
    reader = job.input_of(output)
    if isinstance(reader, View) or len(output.key) > 1:
        return True
    as_read = reader.whole or not _made(reader)
    return bool(output.key) and _required(job, reader).issuperset(output.key) and as_read


def _never_null(job: Job, output: Output) -> tuple[str, ...]:
    """The columns that no row has null: starts of windows, and keys that are required fields."""
    reader = job.input_of(output)
    if not isinstance(reader, View):
        return ()
    known = {"window_start", "window_end", "session_start_time"}
    if not _made(reader):
        fields = _required(job, reader)
        written = fields | {quote(name) for name in fields}
        written |= {as_key(sql, "DOUBLE") for sql in written}
        known |= {key.name for key in reader.keys if key.expression.sql in written}
    return tuple(c.name for c in reader.columns if c.name in known)


def _made(reader: Stream | View) -> bool:
    """Whether steps make columns, of which nobody knows whether they are null."""
    return any(isinstance(s, Project | Explode) for s in reader.steps)


def _required(job: Job, reader: Stream | View) -> set[str]:
    return {f.name for f in job.source(reader.topic).schema.fields if not f.nullable}


def destination_of(engine: JobEngine, systems: Systems, output: Output) -> Destination:
    """The destination of an output that is not changed in the state itself; not yet open."""
    if output.role == "lake":
        lake = systems.data.lake(output.name)
        return DeltaLake(lake, lake_schema(engine, output), output.partition_by)
    system = systems.of(output.role)
    if system is None:
        return TopicWriter(systems.local_topic(output.name, output.partitions), output.name)
    return system.destination(target_of(engine.job, output))


def load_rows(
    cursor: duckdb.DuckDBPyConnection, snapshot: Snapshot, target: Target, name: str
) -> None:
    """Makes the temporary table `name` (quoted) of the rows that a table elsewhere holds."""
    columns = ", ".join(f"{quote(c)}::{type_} as {quote(c)}" for c, type_ in target.columns)
    cursor.register("_there", snapshot.rows(target))
    cursor.execute(f"create or replace temp table {name} as select {columns} from _there")
    cursor.unregister("_there")


def lake_schema(engine: JobEngine, output: Output) -> pa.Schema:
    """The columns of the rows that a lake is given."""
    reader = engine.job.input_of(output)
    relation = engine.store.connection.sql(f"from {empty_relation(reader.columns)}")
    schema = relation.to_arrow_table().schema
    for name, type_ in LAKE_COLUMNS if isinstance(reader, Stream) else FINAL_COLUMNS:
        schema = schema.append(pa.field(name, type_))
    return schema
