"""Records to events and dead letters, strictly and in three tiers.

See docs/decisions/0004-decoding.md. All tiers give the same answer where they overlap.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from headrace.engines.kernel.decode_plain import plain_events
from headrace.engines.kernel.decode_strict import POWERS, strict_sql
from headrace.plan.operators import Check, Source
from headrace.plan.times import time_sql
from headrace.plan.trying import LEFT_OUT
from headrace.values.clock import FIRST_EVENT_US, LAST_EVENT_US

TOO_FAR_AHEAD = "lies too far ahead of the arrival"
"""Why a record is refused whose time lies more than the bound ahead of its arrival."""

_OUTSIDE = "lies outside of the years 101 to 9899"

# What DuckDB's parser lets pass, and may as well stand in a text: a comma before the end, and the
# words for no number, in capitals or not.
_LENIENT = r",\s*[}\]]|(?i:[\[:,]\s*[-+]?(?:nan|inf|infinity)\s*[,}\]])"

_LENIENT_OUTSIDE = re.compile(_LENIENT)
_TEXTS = re.compile(r'"(?:[^"\\]|\\.)*"')

# What is made of so many on the way to their columns stays near the processor.
_PIECE_ROWS = 65_536

_DEAD = pa.schema([("_row", pa.int64()), ("_field", pa.string()), ("_reason", pa.string())])


@dataclass(frozen=True)
class Decoded:
    """Events and refusals.

    Events have the columns of the class, `_time`, `_row`, `_partition`, `_offset`, `_arrival_time`.

    `_row` is the record's place in the table that was decoded; both tables are in its order.
    `keys` are those of the events' records if all were plain, so that each ends with its brace
    and holds no other key; else None.
    """

    events: pa.Table
    dead: pa.Table
    keys: frozenset[str] | None


def decoding(threads: int | None = None) -> duckdb.DuckDBPyConnection:
    """A connection for `decode`: a database of its own, in memory, used by one thread at a time.

    Filters stay where they are written: pushed down, they would take every record apart twice.
    """
    connection = duckdb.connect(":memory:", config={"memory_limit": "1GB"})
    if threads is not None:
        connection.execute(f"set threads = {threads}")
    connection.execute("set timezone = 'UTC'")
    connection.execute("set error_on_division_by_zero = false")
    connection.execute(f"set disabled_optimizers = 'filter_pushdown,{LEFT_OUT}'")
    return connection


def decode(connection: duckdb.DuckDBPyConnection, source: Source, records: pa.Table) -> Decoded:
    """Judges every record of `records` (columns of `contract.RECORDS`) as `source` declares.

    `connection` comes from `decoding`.
    """
    rows = np.arange(len(records), dtype=np.int64)
    values, unreadable = _as_text(records.column("value"), source.value_bytes_max)
    dead = [unreadable] if len(unreadable) else []
    parts, keys = _plain(source, values, records)
    left = _rest(rows, parts, unreadable)
    known = True
    if len(left) or not parts:
        texts = pa.table(
            {
                "_row": pa.array(rows),
                "value": values,
                "_partition": records.column("partition"),
                "_offset": records.column("offset"),
                "_arrival_time": records.column("arrival_time"),
            }
        )
        more, refused = _judge(connection, source, texts.take(pa.array(left)))
        parts.append(more)
        known = not len(more)
        dead.append(refused)
    events = _in_order(parts)
    events, refused = _bounded(connection, source, events)
    if len(refused):
        dead.append(refused)
    refusals = _in_order(dead) if dead else _DEAD.empty_table()
    return Decoded(events, refusals, keys if known else None)


def _plain(
    source: Source, values: pa.ChunkedArray, records: pa.Table
) -> tuple[list[pa.Table], frozenset[str]]:
    """The events among the records that are written alike, and the keys of these records."""
    names = [f.name for f in source.schema.fields]
    own = {"_partition": "partition", "_offset": "offset", "_arrival_time": "arrival_time"}
    tables, keys, start = [], frozenset[str](), 0
    pieces = [
        chunk.slice(at, _PIECE_ROWS)
        for chunk in values.chunks
        for at in range(0, len(chunk), _PIECE_ROWS)
    ]
    for chunk in pieces:
        held = records.select(list(own.values())).slice(start, len(chunk))
        for plain in plain_events(source, chunk):
            whole = len(plain.rows) == len(chunk)
            part = held if whole else held.take(pa.array(plain.rows))
            columns = {"_row": pa.array(plain.rows + start)}
            columns |= {n: plain.columns[n] for n in names}
            columns |= {mine: part.column(theirs) for mine, theirs in own.items()}
            tables.append(pa.table(columns))
            keys |= plain.keys
        start += len(chunk)
    return tables, keys


def _as_text(values: pa.ChunkedArray, bytes_max: int) -> tuple[pa.ChunkedArray, pa.Table]:
    """Values as text without a copy; records that are null, too long or not UTF-8 are named."""
    dead: dict[int, str] = {}
    chunks, start = [], 0
    for chunk in values.chunks:
        reasons = _unreadable(chunk, bytes_max)
        if reasons:
            keep = np.ones(len(chunk), bool)
            keep[list(reasons)] = False
            chunk = pc.if_else(pa.array(keep), chunk, pa.scalar(None, chunk.type))
        dead.update({start + i: why for i, why in reasons.items()})
        chunks.append(chunk.view(pa.string()))
        start += len(chunk)
    table = pa.table(
        [
            pa.array(list(dead), pa.int64()),
            pa.nulls(len(dead), pa.string()),
            pa.array(list(dead.values()), pa.string()),
        ],
        schema=_DEAD,
    )
    return pa.chunked_array(chunks, pa.string()), table


def _unreadable(chunk: pa.Array, bytes_max: int) -> dict[int, str]:
    reasons = {}
    if chunk.null_count:
        reasons.update({int(i): "has no value" for i in np.flatnonzero(chunk.is_null())})
    if len(chunk) and (pc.max(pc.binary_length(chunk)).as_py() or 0) > bytes_max:
        long = pc.fill_null(pc.greater(pc.binary_length(chunk), bytes_max), False)
        why = f"is longer than {bytes_max} bytes"
        reasons.update({int(i): why for i in np.flatnonzero(long)})
    reasons.update({i: "is not UTF-8" for i in _not_utf8(chunk) if i not in reasons})
    return reasons


def _not_utf8(chunk: pa.Array) -> list[int]:
    """Positions of values that are not UTF-8."""
    try:
        chunk.cast(pa.string())
        return []
    except pa.ArrowInvalid:
        return [i for i in _beyond_ascii(chunk) if not _is_utf8(chunk[i].as_py())]


def _beyond_ascii(chunk: pa.Array) -> list[int]:
    """Positions of values with a byte above 127: only these can be wrong."""
    ends = np.frombuffer(chunk.buffers()[1], np.int32)[chunk.offset :][: len(chunk) + 1]
    content = np.frombuffer(chunk.buffers()[2], np.uint8)[ends[0] : ends[-1]]
    high = np.flatnonzero(content > 127) + ends[0]
    rows: list[int] = np.unique(np.searchsorted(ends, high, side="right") - 1).tolist()
    return rows


def _is_utf8(value: bytes | None) -> bool:
    try:
        (value or b"").decode()
    except UnicodeDecodeError:
        return False
    return True


def _rest(rows: NDArray[np.int64], parts: list[pa.Table], dead: pa.Table) -> NDArray[np.int64]:
    left = np.ones(len(rows), bool)
    for table in (*parts, dead):
        left[table.column("_row").to_numpy()] = False
    return np.flatnonzero(left)


def _judge(
    connection: duckdb.DuckDBPyConnection, source: Source, texts: pa.Table
) -> tuple[pa.Table, pa.Table]:
    """Tiers 2 and 3: (events, refusals) of records that are not plain."""
    written = texts.column("value")
    powers = bool(pc.any(pc.match_substring_regex(written, POWERS)).as_py())
    connection.register("_other", texts)
    try:
        judged = connection.sql(strict_sql(source, "_other", powers=powers)).to_arrow_table()
    finally:
        connection.unregister("_other")
    suspicious = texts.filter(pc.match_substring_regex(written, _LENIENT))
    rows, values = (suspicious.column(name).to_pylist() for name in ("_row", "value"))
    no = [row for row, text in zip(rows, values, strict=True) if not _is_json(text)]
    if no:
        bad = pa.array(np.isin(judged.column("_row").to_numpy(), no))
        for name, value in (("_reason", "is not JSON"), ("_field", None)):
            column = pc.if_else(bad, pa.scalar(value, pa.string()), judged.column(name))
            judged = judged.set_column(judged.schema.get_field_index(name), name, column)
    fits = pc.is_null(judged.column("_reason"))
    refused = judged.filter(pc.invert(fits)).select(_DEAD.names)
    return judged.filter(fits).drop_columns(["_reason", "_field"]), refused


def _is_json(text: str) -> bool:
    """Whether `text`, which DuckDB takes for JSON, holds what it lets pass outside of its texts."""
    return _LENIENT_OUTSIDE.search(_TEXTS.sub('""', text)) is None


def _in_order(parts: list[pa.Table]) -> pa.Table:
    """All parts as one table, in the order of the records."""
    if len(parts) == 1:
        table = parts[0]
    else:
        table = pa.concat_tables([p for p in parts if len(p)] or parts[:1])
    rows = table.column("_row").to_numpy()
    if len(rows) > 1 and not bool((rows[1:] > rows[:-1]).all()):
        table = table.take(pa.array(np.argsort(rows, kind="stable")))
    return table


def _bounded(
    connection: duckdb.DuckDBPyConnection, source: Source, events: pa.Table
) -> tuple[pa.Table, pa.Table]:
    """Adds `_time`; refuses times too far ahead of the arrival and failed declared checks."""
    events = _timed(connection, source, events)
    refused: list[tuple[int, str | None, str]] = []
    if source.time is not None and len(events):
        time = events.column("_time")
        arrival = events.column("_arrival_time").cast(pa.int64()).to_numpy()
        unread = np.flatnonzero(time.is_null().to_numpy())
        micros = pc.fill_null(time.cast(pa.int64()), 0).to_numpy()
        ahead = np.flatnonzero((micros > arrival + source.ahead_us_max) & (micros <= LAST_EVENT_US))
        outside = np.flatnonzero((micros < FIRST_EVENT_US) | (micros > LAST_EVENT_US))
        refused += [(int(i), source.time, "cannot be read as a time") for i in unread]
        refused += [(int(i), source.time, _OUTSIDE) for i in outside]
        refused += [(int(i), source.time, TOO_FAR_AHEAD) for i in ahead]
    if source.checks and len(events):
        refused += _unchecked(connection, source, events, {i for i, *_ in refused})
    if not refused:
        return events, _DEAD.empty_table()
    refused.sort()
    keep = np.ones(len(events), bool)
    keep[[i for i, *_ in refused]] = False
    rows = events.column("_row").take(pa.array([i for i, *_ in refused], pa.int64()))
    dead = pa.table(
        [
            rows,
            pa.array([f for _, f, _ in refused], pa.string()),
            pa.array([why for *_, why in refused], pa.string()),
        ],
        schema=_DEAD,
    )
    return events.filter(pa.array(keep)), dead


def _timed(connection: duckdb.DuckDBPyConnection, source: Source, events: pa.Table) -> pa.Table:
    """`events` with `_time`, the event time as a timestamp."""
    if source.time is not None and "." not in source.time:
        column = events.column(source.time)
        if pa.types.is_timestamp(column.type):
            return events.append_column("_time", column)
    connection.register("_timed", events)
    try:
        return connection.sql(f"select *, {time_sql(source)} as _time from _timed").to_arrow_table()
    finally:
        connection.unregister("_timed")


def _unchecked(
    connection: duckdb.DuckDBPyConnection, source: Source, events: pa.Table, without: set[int]
) -> list[tuple[int, str | None, str]]:
    """(position, field, reason) of events that fail a declared check; null passes, as in SQL."""
    fails = " ".join(
        f"when try({check.condition.sql}) is not distinct from false then {n}"
        for n, check in enumerate(source.checks)
    )
    numbered = events.append_column("_at", pa.array(np.arange(len(events))))
    connection.register("_timed", numbered)
    try:
        found = connection.execute(
            f"select _at, _check from (select _at, case {fails} end as _check from _timed) "
            "where _check is not null"
        ).fetchall()
    finally:
        connection.unregister("_timed")
    fields = [_checked_field(source, check) for check in source.checks]
    return [
        (
            at,
            fields[t],
            f"fails the check {source.checks[t].name}: {source.checks[t].condition.text}",
        )
        for at, t in found
        if at not in without
    ]


def _checked_field(source: Source, check: Check) -> str | None:
    """The field that a check is about: the one it is named after, or the only one that it reads."""
    columns = check.condition.columns
    if any(f.name == check.name for f in source.schema.fields):
        return check.name
    return columns[0] if len(columns) == 1 else None
