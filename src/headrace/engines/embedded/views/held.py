"""Rows of a state table by key, found in memory while they fit there, else in the table.

Keys fall into buckets by their hash: to look at some keys is to look at all rows of their buckets,
so that no dictionary of keys is kept. Whoever writes through `HeldRows` writes both; whether the
table still is what was written last (a transaction may have been undone) is the caller's to ask.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from headrace.engines.embedded.views import given
from headrace.engines.embedded.views.given import GIVEN
from headrace.engines.kernel.watermark import NEVER_US
from headrace.storage.state.store import one_row

BUCKETS = 1 << 20
MEMORY_BYTES_MAX = 128 << 20
"""What one view may hold of one table beside the engine's own memory."""

Buckets = NDArray[np.bool_]
"""Which of the `BUCKETS` are looked at."""

_SAMPLE_ROWS = 1000
_NONE = pa.table({})
_RECORD = ("_partition", "_offset")
_LAST_US = np.iinfo(np.int64).max


def bucket_sql(keys: Sequence[str]) -> str:
    """The bucket of a row by its key columns; 0 where there are none."""
    return f"(hash({', '.join(keys)}) & {BUCKETS - 1})::integer" if keys else "0::integer"


def no_buckets() -> Buckets:
    """None of the buckets."""
    return np.zeros(BUCKETS, np.bool_)


@dataclass(frozen=True)
class _Chunk:
    """Some rows with their buckets and times, and the bounds of these."""

    rows: pa.Table
    bucket: NDArray[np.int32]
    us: NDArray[np.int64]
    low_us: int
    high_us: int


class HeldRows:
    """The rows of the state table `table`: `columns` of them, and `_bucket` by `keys`.

    `us` is the column by which rows are chosen in time, in microseconds.
    """

    def __init__(self, table: str, columns: Sequence[str], keys: Sequence[str], us: str) -> None:
        self.table, self.us = table, us
        self.columns = list(columns)
        self.count = 0
        self.schema = pa.schema([])
        self._bucket_sql = bucket_sql(keys)
        self._listed = ", ".join([*columns, f"{self._bucket_sql} as _bucket"])
        # None: not held in memory.
        self._chunks: list[_Chunk] | None = None

    def load(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Reads the table into memory, if it fits there."""
        self.count = self._number(connection, "true")
        sample = self._read(connection, f"limit {_SAMPLE_ROWS}")
        self.schema = sample.schema
        self._chunks = None
        per_row = sample.nbytes / max(1, len(sample))
        if self.count <= len(sample):
            self._chunks = [_chunk(sample, self.us)]
        elif self.count * per_row <= MEMORY_BYTES_MAX:
            self._chunks = [_chunk(self._read(connection, ""), self.us)]

    def take(self, connection: duckdb.DuckDBPyConnection, buckets: Buckets | None) -> pa.Table:
        """The rows of `buckets`, or all; a column `_bucket` comes with them."""
        if self._chunks is None:
            if buckets is None:
                return self._read(connection, "")
            found = f"{self._bucket_sql} in (from {GIVEN})"
            sql = f"select {self._listed} from {self.table} where {found}"
            return given.arrow(connection, sql, _listed(buckets))
        if buckets is None:
            return self._joined(c.rows for c in self._chunks)
        return self._joined(_taken(c, buckets[c.bucket]) for c in self._chunks)

    def below(self, connection: duckdb.DuckDBPyConnection, us: int) -> pa.Table:
        """The rows with a time below `us`."""
        if self._chunks is None:
            return self._read(connection, f"where {self.us} < {us}")
        return self._joined(_taken(c, c.us < us) for c in self._chunks if c.low_us < us)

    def count_below(self, connection: duckdb.DuckDBPyConnection, us: int) -> int:
        """How many rows have a time below `us`."""
        if self._chunks is None:
            return self._number(connection, f"{self.us} < {us}")
        return sum(
            len(c.us) if c.high_us < us else int((c.us < us).sum())
            for c in self._chunks
            if c.low_us < us
        )

    def mark(
        self, connection: duckdb.DuckDBPyConnection, buckets: Buckets, low_us: int, high_us: int
    ) -> None:
        """Adds to `buckets` those of rows with a time in [low_us, high_us)."""
        if self._chunks is None:
            found = connection.execute(
                f"select distinct {self._bucket_sql} as b from {self.table} "
                f"where {self.us} >= {low_us} and {self.us} < {high_us}"
            ).fetchnumpy()
            buckets[found["b"]] = True
            return
        for c in self._chunks:
            if c.high_us >= low_us and c.low_us < high_us:
                buckets[c.bucket[(c.us >= low_us) & (c.us < high_us)]] = True

    def mark_records(self, connection: duckdb.DuckDBPyConnection, buckets: Buckets) -> None:
        """Adds to `buckets` those of all rows whose records have rows in them already."""
        records = (
            self.take(connection, buckets).select(list(_RECORD)).group_by(_RECORD).aggregate([])
        )
        if self._chunks is None:
            sql = (
                f"select distinct {self._bucket_sql} as b from {self.table} "
                f"semi join {GIVEN} using ({', '.join(_RECORD)})"
            )
            buckets[given.arrow(connection, sql, records).column("b").to_numpy()] = True
            return
        wanted = _record(records)
        for c in self._chunks:
            buckets[c.bucket[np.isin(_record(c.rows), wanted)]] = True

    def append(self, connection: duckdb.DuckDBPyConnection, rows: pa.Table) -> None:
        """Writes further rows, with or without their `_bucket`."""
        if not len(rows):
            return
        names = ", ".join(self.columns)
        sql = f"insert into {self.table} by name select {names} from {GIVEN}"
        given.execute(connection, sql, rows)
        if "_bucket" not in rows.column_names:
            sql = f"select {self._bucket_sql} as b from {GIVEN}"
            rows = rows.append_column("_bucket", given.arrow(connection, sql, rows).column("b"))
        self._hold(rows)

    def append_from(self, connection: duckdb.DuckDBPyConnection, relation: str) -> None:
        """Writes the rows of a relation with all columns of the table."""
        connection.execute(f"insert into {self.table} by name from {relation}")
        self._hold(connection.sql(f"select {self._listed} from {relation}").to_arrow_table())

    def _hold(self, rows: pa.Table) -> None:
        self.count += len(rows)
        if self._chunks is None or not len(rows):
            return
        self._chunks.append(_chunk(rows.select(self.schema.names).cast(self.schema), self.us))
        # Few chunks, and each row copied a logarithmic number of times.
        while len(self._chunks) > 1 and len(self._chunks[-2].us) < 2 * len(self._chunks[-1].us):
            last, before = self._chunks.pop(), self._chunks.pop()
            self._chunks.append(_merged(before, last))
        if sum(c.rows.nbytes for c in self._chunks) > MEMORY_BYTES_MAX:
            self._chunks = None

    def drop_below(self, connection: duckdb.DuckDBPyConnection, us: int) -> None:
        """Deletes the rows with a time below `us`."""
        self._delete(connection, f"{self.us} < {us}")
        if self._chunks is not None:
            self._chunks = [
                c if c.low_us >= us else _kept(c, c.us >= us, self.us)
                for c in self._chunks
                if c.high_us >= us
            ]

    def drop(self, connection: duckdb.DuckDBPyConnection, buckets: Buckets | None) -> None:
        """Deletes the rows of `buckets`, or all."""
        if buckets is None:
            self._delete(connection, "true")
        else:
            found = f"{self._bucket_sql} in (from {GIVEN})"
            self._delete(connection, found, _listed(buckets))
        if self._chunks is not None:
            self._chunks = [
                _kept(c, ~buckets[c.bucket], self.us) for c in self._chunks if buckets is not None
            ]

    def _read(self, connection: duckdb.DuckDBPyConnection, tail: str) -> pa.Table:
        return connection.sql(f"select {self._listed} from {self.table} {tail}").to_arrow_table()

    def _number(self, connection: duckdb.DuckDBPyConnection, condition: str) -> int:
        sql = f"select count(*) from {self.table} where {condition}"
        row = one_row(connection.execute(sql))
        return int(row[0]) if row else 0

    def _delete(
        self, connection: duckdb.DuckDBPyConnection, condition: str, rows: pa.Table = _NONE
    ) -> None:
        sql = f"delete from {self.table} where {condition}"
        self.count -= given.execute(connection, sql, rows)

    def _joined(self, parts: Iterable[pa.Table]) -> pa.Table:
        return pa.concat_tables([self.schema.empty_table(), *parts])


def _chunk(rows: pa.Table, us: str) -> _Chunk:
    times = rows.column(us).to_numpy()
    low = int(times.min(initial=_LAST_US))
    return _Chunk(
        rows, rows.column("_bucket").to_numpy(), times, low, int(times.max(initial=NEVER_US))
    )


def _record(rows: pa.Table) -> NDArray[np.int64]:
    partition, offset = (rows.column(n).to_numpy() for n in _RECORD)
    record: NDArray[np.int64] = (partition.astype(np.int64) << 40) + offset
    return record


def _merged(first: _Chunk, second: _Chunk) -> _Chunk:
    return _Chunk(
        pa.concat_tables([first.rows, second.rows]).combine_chunks(),
        np.concatenate([first.bucket, second.bucket]),
        np.concatenate([first.us, second.us]),
        min(first.low_us, second.low_us),
        max(first.high_us, second.high_us),
    )


def _taken(chunk: _Chunk, these: NDArray[np.bool_]) -> pa.Table:
    return chunk.rows.take(pa.array(np.flatnonzero(these)))


def _kept(chunk: _Chunk, these: NDArray[np.bool_], us: str) -> _Chunk:
    return _chunk(_taken(chunk, these), us)


def _listed(buckets: Buckets) -> pa.Table:
    return pa.table({"b": np.flatnonzero(buckets).astype(np.int32)})
