"""SQL over everything a job serves: tables, lakes, topics, dead letters, sums."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from itertools import count
from pathlib import Path

import duckdb
import pyarrow as pa

from headrace.engines.embedded.deliveries.targets import load_rows, target_of
from headrace.engines.embedded.epochs.arrivals import Readings
from headrace.engines.embedded.runner import JobRunner
from headrace.plan.operators import TABLE_ROLES, Job, Output
from headrace.storage.lake.digests import check_files
from headrace.storage.lake.reading import live_files, relation_sql
from headrace.storage.state.damage import damage
from headrace.storage.whole import all_records
from headrace.values.errors import UsageError, did_you_mean
from headrace.values.schema import literal, quote, quotes_missing

_PIECE_RECORDS = 500_000
_NUMBERS = count(1)
# What a text alone makes wrong. All else may come from a lake's file, which DuckDB seldom names.
_OF_THE_TEXT = (
    duckdb.BinderException,
    duckdb.CatalogException,
    duckdb.ConversionException,
    duckdb.OutOfRangeException,
    duckdb.ParserException,
)
_ONE = "Write one statement that begins with SELECT, FROM, WITH or DESCRIBE."
_WORD = re.compile(rb"\w+")
_MISSING = re.compile(r"Table with name (\S+) does not exist")


def query(runner: JobRunner, sql: str) -> pa.Table:
    """The result of one SELECT as of a committed epoch.

    Tables go by their names; a lake is `lake.<name>`, a topic `topic.<name>`. Raises UsageError
    for anything but one SELECT, and for what DuckDB refuses, in its words; StateRefused for a
    file of a lake that is damaged.
    """
    cursor = runner.store.cursor()
    try:
        _check(cursor, sql)
        with _offered(runner, cursor, sql):
            # What is written here must not stay, whatever the text contains.
            cursor.execute("begin transaction read only")
            return cursor.sql(sql).to_arrow_table()
    except duckdb.Error as error:
        lakes = [] if isinstance(error, _OF_THE_TEXT) else _lakes_of(runner, sql)
        _check_lakes(lakes)
        refused = damage(runner.store.path, error, lakes=lakes)
        raise refused or _in_words(runner, sql, error) from error
    finally:
        cursor.close()


def _check(cursor: duckdb.DuckDBPyConnection, sql: str) -> None:
    statements = cursor.extract_statements(sql)
    if not statements:
        raise UsageError("the query is empty", remedy=_ONE)
    kinds = {str(s.type) for s in statements}
    allowed = {"StatementType.SELECT", "StatementType.EXPLAIN"}
    if len(statements) != 1 or not kinds <= allowed:
        raise UsageError(
            "a query is one SELECT: nothing here can be changed by SQL",
            remedy=_ONE,
        )


@contextmanager
def _offered(runner: JobRunner, cursor: duckdb.DuckDBPyConnection, sql: str) -> Iterator[None]:
    """Makes what `sql` names visible to `cursor` alone: tables elsewhere, `lake.…`, `topic.…`."""
    job, (names, pairs) = runner.job, _named(sql)
    elsewhere = [o for o in job.outputs if o.role in TABLE_ROLES and o.name.lower() in names]
    _offer_tables(runner, cursor, elsewhere)
    lakes = _lakes(job, pairs)
    topics = [name for name in job.topics if ("topic", name.lower()) in pairs]
    if not lakes and not topics:
        yield
        return
    # A database of this query's own: whoever asks at the same time has another.
    own = f"query_{next(_NUMBERS)}"
    cursor.execute(f"attach ':memory:' as {own}")
    try:
        for schema in ("lake", "topic"):
            cursor.execute(f"create schema {own}.{schema}")
        for name in lakes:
            # Only the columns that the text names are read: for the digests it would be all.
            lake = relation_sql(runner.data.lake(name), checked=False)
            cursor.execute(f"create view {own}.lake.{quote(name)} as {lake}")
        for name in topics:
            _offer_topic(runner, cursor, name, f"{own}.topic.{quote(name)}")
        [here] = cursor.execute("select current_database()").fetchall()[0]
        paths = f"{quote(here)}.main,{own}.lake,{own}.topic"
        cursor.execute(f"set search_path = {literal(paths)}")
        yield
    finally:
        with suppress(duckdb.TransactionException):
            cursor.rollback()
        cursor.execute("reset search_path")
        cursor.execute(f"detach {own}")


def _lakes_of(runner: JobRunner, sql: str) -> list[Path]:
    """The directories of the lakes in `sql`."""
    return [runner.data.lake(name) for name in _lakes(runner.job, _named(sql)[1])]


def _check_lakes(lakes: Sequence[Path]) -> None:
    """Raises StateRefused for a file of `lakes` that is not what was written."""
    for lake in lakes:
        check_files(live_files(lake))


def _lakes(job: Job, pairs: Container[tuple[str, str]]) -> list[str]:
    lakes = [o.name for o in job.outputs if o.role == "lake"]
    return [name for name in lakes if ("lake", name.lower()) in pairs]


def _named(sql: str) -> tuple[set[str], set[tuple[str, str]]]:
    """Words of `sql`, and pairs of them with a dot between, in lower case, without their quotes."""
    text = sql.encode()
    starts = duckdb.tokenize(sql)
    ends = [at for at, _ in starts[1:]] + [len(text)]
    words = [
        _unquoted(text[at:end].decode().strip())
        for (at, kind), end in zip(starts, ends, strict=True)
        if kind not in (duckdb.token_type.comment, duckdb.token_type.string_const)
    ]
    dotted = zip(words, words[1:], words[2:], strict=False)
    return set(words), {(first, last) for first, dot, last in dotted if dot == "."}


def _unquoted(word: str) -> str:
    return word.strip('"').replace('""', '"').lower()


def _unquoted_name(job: Job, sql: str) -> str | None:
    """A column that is a word of SQL too, if `sql` is right as soon as that stands in quotes."""
    text, tokens = sql.encode(), duckdb.tokenize(sql)
    words = [
        (at, found[0].decode().lower())
        for at, kind in tokens
        if kind == duckdb.token_type.keyword and (found := _WORD.match(text, at))
    ]
    columns = {"offset"}
    columns |= {f.name.lower() for s in job.sources for f in s.schema.fields}
    columns |= {c.name.lower() for v in job.views for c in v.columns}
    for name in sorted({word for _, word in words} & columns):
        quoted = text
        for at, word in reversed(words):
            if word == name:
                quoted = quoted[:at] + quote(name).encode() + quoted[at + len(name) :]
        with suppress(duckdb.Error):
            duckdb.extract_statements(quoted.decode())
            return name
    return None


def _offer_tables(
    runner: JobRunner, cursor: duckdb.DuckDBPyConnection, outputs: Sequence[Output]
) -> None:
    """Copies those of `outputs` that other systems play into temporary tables."""
    targets = {o.name: target_of(runner.job, o) for o in outputs}
    with runner.systems.snapshots(list(targets.values())) as snapshots:
        for name, snapshot in snapshots.items():
            load_rows(cursor, snapshot, targets[name], quote(name))


def _offer_topic(
    runner: JobRunner, cursor: duckdb.DuckDBPyConnection, name: str, table: str
) -> None:
    cursor.execute(
        f'create table {table} ("partition" integer, "offset" bigint, key varchar, value varchar,'
        " arrival_time timestamp)"
    )
    # A job that is asked again and again must not gather what each answer has read with.
    with closing(runner.systems.topic(name, runner.job.topics[name])) as topic:
        readings = Readings(cursor, topic, runner.clock.now_us())
        for records in all_records(topic, records_max=_PIECE_RECORDS):
            cursor.register("_topic_records", readings.arrived(records))
            cursor.execute(
                f'insert into {table} select "partition", "offset", try(decode(key)),'
                " try(decode(value)), arrival_time from _topic_records"
            )
            cursor.unregister("_topic_records")


def _in_words(runner: JobRunner, sql: str, error: duckdb.Error) -> UsageError:
    text = str(error)
    if isinstance(error, duckdb.ParserException) and (name := _unquoted_name(runner.job, sql)):
        return UsageError(
            f"the query is refused: {text}",
            remedy=quotes_missing(name),
        )
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
