"""SQL over everything a job serves: tables, lakes, topics, dead letters, sums."""

from __future__ import annotations

import re

import duckdb
import pyarrow as pa

from headrace.engines.embedded.arrivals import Readings
from headrace.engines.embedded.recall import read_all
from headrace.engines.embedded.runner import JobRunner
from headrace.engines.embedded.targets import load_rows, target_of
from headrace.plan.operators import TABLE_ROLES
from headrace.storage.lake.reading import relation_sql
from headrace.storage.state.damage import damage
from headrace.values.errors import UsageError, did_you_mean
from headrace.values.schema import quote

_MISSING = re.compile(r"Table with name (\S+) does not exist")


def query(runner: JobRunner, sql: str) -> pa.Table:
    """The result of one SELECT as of a committed epoch.

    Tables go by their names; a lake is `lake.<name>`, a topic `topic.<name>`. Raises UsageError
    for anything but one SELECT, and for what DuckDB refuses, in its words.
    """
    cursor = runner.store.cursor()
    try:
        _check(cursor, sql)
        _offer(runner, cursor, sql)
        # What is written here must not stay, whatever the text contains.
        cursor.execute("begin transaction read only")
        return cursor.sql(sql).to_arrow_table()
    except duckdb.Error as error:
        raise damage(runner.store.path, error) or _in_words(runner, error) from error
    finally:
        cursor.close()


def _check(cursor: duckdb.DuckDBPyConnection, sql: str) -> None:
    statements = cursor.extract_statements(sql)
    kinds = {str(s.type) for s in statements}
    allowed = {"StatementType.SELECT", "StatementType.EXPLAIN"}
    if len(statements) != 1 or not kinds <= allowed:
        raise UsageError(
            "a query is one SELECT: nothing here can be changed by SQL",
            remedy="Write one statement that begins with SELECT, FROM, WITH or DESCRIBE.",
        )


def _offer(runner: JobRunner, cursor: duckdb.DuckDBPyConnection, sql: str) -> None:
    """Makes the lakes and topics that `sql` names visible as `lake.…` and `topic.…`."""
    lowered = sql.lower()
    job = runner.job
    _offer_tables(runner, cursor, lowered)
    for schema in ("lake", "topic"):
        if schema in lowered:
            cursor.execute(f"attach if not exists ':memory:' as {schema}")
    if "lake" in lowered:
        for output in job.outputs:
            if output.role == "lake" and output.name.lower() in lowered:
                # Only the columns that the text names are read: for the digests it would be all.
                lake = relation_sql(runner.data.lake(output.name), checked=False)
                cursor.execute(f"create or replace view lake.{quote(output.name)} as {lake}")
    if "topic" in lowered:
        for name in job.topics:
            if name.lower() in lowered:
                _offer_topic(runner, cursor, name)


def _offer_tables(runner: JobRunner, cursor: duckdb.DuckDBPyConnection, lowered: str) -> None:
    """Copies the tables that other systems play and `lowered` names into temporary ones."""
    job = runner.job
    named = [o for o in job.outputs if o.role in TABLE_ROLES and o.name.lower() in lowered]
    targets = {o.name: target_of(job, o) for o in named}
    with runner.systems.snapshots(list(targets.values())) as snapshots:
        for name, snapshot in snapshots.items():
            load_rows(cursor, snapshot, targets[name], quote(name))


def _offer_topic(runner: JobRunner, cursor: duckdb.DuckDBPyConnection, name: str) -> None:
    topic = runner.systems.topic(name, runner.job.topics[name])
    records = read_all(topic, topic.begin_offsets(), topic.end_offsets())
    readings = Readings(cursor, topic, runner.clock.now_us())
    cursor.register("_topic_records", readings.arrived(records))
    cursor.execute(
        f'create or replace table topic.{quote(name)} as select "partition", "offset", '
        "decode(key) as key, try(decode(value)) as value, arrival_time from _topic_records"
    )
    cursor.unregister("_topic_records")


def _in_words(runner: JobRunner, error: duckdb.Error) -> UsageError:
    text = str(error)
    found = _MISSING.search(text)
    if found is not None:
        job = runner.job
        names = [o.name for o in job.outputs if o.role not in ("lake", "topic")]
        names += [f"lake.{o.name}" for o in job.outputs if o.role == "lake"]
        names += [f"topic.{s.topic}" for s in job.sources]
        names += [f"topic.{o.name}" for o in job.outputs if o.role == "topic"]
        names += ["dead_letters", "refused_rows", "epochs", "conservation"]
        return UsageError(f"there is no table {found[1]}", remedy=did_you_mean(found[1], names))
    return UsageError(f"the query is refused: {text}")
