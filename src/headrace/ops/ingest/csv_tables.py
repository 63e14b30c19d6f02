"""CSV as tables of text columns, in bounded memory, whatever stands in the cells.

DuckDB finds out the dialect, the names and the types; Arrow's streaming reader cuts rows. A row
with too many or too few cells is kept as its text, in its place.
"""

from __future__ import annotations

import io
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.csv

from headrace.ops.ingest.exact import of_cell
from headrace.ops.ingest.mapping import Column, Shape
from headrace.ops.ingest.streams import Torn
from headrace.ops.ingest.undecodable import as_bytes, as_characters, cells_as_bytes
from headrace.values.errors import InputRefused
from headrace.values.schema import literal

# A row must fit into a block.
_BLOCK_BYTES = 8 << 20
_SAMPLE_BYTES = 4 << 20
_PLAIN_TYPES = ("BIGINT", "DOUBLE", "BOOLEAN", "DATE", "TIMESTAMP")


@dataclass(frozen=True)
class Dialect:
    """How a CSV file is written, and its columns with the DuckDB types that their texts fit."""

    delimiter: str
    quote: str
    escape: str
    skip_lines: int
    header: bool
    names: tuple[str, ...]
    types: tuple[str, ...]


def sniff(sample: bytes, name: str) -> Dialect:
    """The dialect of a file that begins with `sample`; InputRefused.

    A last row that is still being written must not tell how the others are: DuckDB may take a
    cell less in quotes for a file of one column.
    """
    dialect = _sniffed(sample, name)
    whole = _whole_rows(sample)
    if whole.count(b"\n") > 1 and whole != sample:
        without = _sniffed(whole, name)
        if _cells(without, sample) > _cells(dialect, sample):
            return without
    return dialect


def _cells(dialect: Dialect, sample: bytes) -> int:
    """How many cells a row of `sample` has; DuckDB may name more columns than it can tell apart."""
    return len(dialect.names) if dialect.delimiter.encode() in sample else 1


def _whole_rows(sample: bytes) -> bytes:
    """`sample` up to the last line's end that stands outside of quotes."""
    quotes, end = sample.count(b'"'), len(sample)
    while end:
        last = sample.rfind(b"\n", 0, end)
        quotes -= sample.count(b'"', last + 1, end)
        if last < 0 or quotes % 2 == 0:
            return sample[: last + 1]
        end = last
    return b""


def _sniffed(sample: bytes, name: str) -> Dialect:
    with tempfile.NamedTemporaryFile(suffix=".csv") as file:
        # Rows that are broken must not keep the others from telling how the file is written.
        Path(file.name).write_text(sample.decode(errors="replace"), encoding="utf-8", newline="")
        try:
            found: Any = (
                duckdb.connect()
                .execute(
                    "SELECT Delimiter, Quote, Escape, SkipRows, HasHeader, Columns FROM sniff_csv("
                    f"{literal(file.name)}, sample_size = -1, ignore_errors = true)"
                )
                .fetchone()
            )
        except duckdb.Error as error:
            raise InputRefused(
                f"{name} cannot be read as CSV: {_sentence(error)}",
                remedy="If it is something else, say so with --format ndjson|combined|parquet.",
            ) from None
    delimiter, quoting, escape, skipped, header, columns = found
    if not _character(quoting) and _may_quote(sample, delimiter):
        quoting = '"'
    return Dialect(
        delimiter,
        _character(quoting),
        _character(escape),
        skipped,
        header,
        tuple(column["name"] for column in columns),
        tuple(_expression_type(column["type"]) for column in columns),
    )


def csv_shape(dialect: Dialect) -> Shape:
    """The shape of the tables of `CsvReader`: binary columns "headrace: cell 0" and so on."""
    count = len(dialect.names)
    columns = tuple(
        Column(
            name,
            type_,
            of_cell(f'"headrace: text {i}"', type_),
            text=f'"headrace: text {i}"',
        )
        for i, (name, type_) in enumerate(zip(dialect.names, dialect.types, strict=True))
    )
    members = " || ',' || ".join(
        f"to_json({literal(name)})::varchar || ':' || "
        f"coalesce(to_json(\"headrace: text {i}\")::varchar, 'null')"
        for i, name in enumerate(dialect.names)
    )
    unreadable = f" || encode({literal(dialect.delimiter)}) || ".join(
        f"coalesce(\"headrace: cell {i}\", ''::blob)" for i in range(count)
    )
    decoded = " AND ".join(
        f'("headrace: cell {i}" IS NULL OR "headrace: text {i}" IS NOT NULL)' for i in range(count)
    )
    cells = {f"headrace: cell {i}": pa.array([], pa.binary()) for i in range(count)}
    return Shape(
        columns=columns,
        raw=(
            f'coalesce("headrace: bad row", CASE WHEN {decoded} '
            f"THEN try(encode('{{' || {members} || '}}')) END, {unreadable})"
        ),
        empty=pa.table({**cells, "headrace: bad row": pa.array([], pa.binary())}),
        prepare=", ".join(
            f'try(decode("headrace: cell {i}")) AS "headrace: text {i}"' for i in range(count)
        ),
        fits=f'"headrace: bad row" IS NULL AND {decoded}',
    )


class CsvReader:
    """Tables of cells as bytes, and "headrace: bad row": the text of a row that has other cells.

    After iteration `torn` holds why the stream broke off, or None; the rows before were given.
    """

    def __init__(self, blocks: Iterator[bytes], name: str) -> None:
        self._file = _BlockFile(blocks)
        self._name = name
        sample = self._file.peek(_SAMPLE_BYTES)
        self.empty = not sample.strip(b"\xef\xbb\xbf\r\n \t")
        self.dialect = None if self.empty else sniff(sample, name)

    @property
    def torn(self) -> Torn | None:
        return self._file.torn

    def __iter__(self) -> Iterator[pa.Table]:
        dialect = self.dialect
        if dialect is None:
            return
        bad: list[Any] = []

        def keep(row: Any) -> str:
            bad.append(row)
            return "skip"

        cells = [f"headrace: cell {i}" for i in range(len(dialect.names))]
        # Arrow numbers rows with the lines before them that are none.
        skipped, given = dialect.skip_lines + dialect.header, 0
        try:
            for batch in pyarrow.csv.open_csv(self._file, *_options(dialect, cells, keep)):
                table = pa.table(batch)
                if self._file.rewritten:
                    table = cells_as_bytes(table)
                table = _with_bad_rows(table, bad, given + skipped)
                bad.clear()
                given += table.num_rows
                yield table
        except pa.ArrowInvalid as error:
            raise InputRefused(
                f"{self._name} cannot be read as CSV behind row {given}: {_sentence(error)}",
                remedy="Look for a quote that is not closed; what came before it was taken.",
            ) from None
        if bad:
            none = pa.table({cell: pa.array([], pa.binary()) for cell in cells})
            yield _with_bad_rows(none, bad, given + skipped)


class _BlockFile(io.RawIOBase):
    """Blocks as a file of UTF-8. Gives whole lines only if the stream breaks off.

    `rewritten` says whether characters stand for bytes that are none.
    """

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self.torn: Torn | None = None
        self.rewritten = False
        self._blocks = blocks
        self._ready = bytearray()
        self._tail = b""
        self._ended = False

    def readable(self) -> bool:
        return True

    def peek(self, size: int) -> bytes:
        """About the first `size` bytes, up to a line's end."""
        while len(self._ready) < size and not self._ended:
            self._more()
        return as_bytes(self._ready)

    def readinto(self, buffer: Any) -> int:
        # Filled to the brim: a block of the CSV reader is what one read gives.
        while len(self._ready) < len(buffer) and not self._ended:
            self._more()
        count = min(len(buffer), len(self._ready))
        buffer[:count] = self._ready[:count]
        del self._ready[:count]
        return count

    def _more(self) -> None:
        try:
            block = next(self._blocks)
        except StopIteration:
            self._take(self._tail)
            self._ended = True
        except Torn as reason:
            self.torn = reason
            self._ended = True
        else:
            text = self._tail + block
            end = text.rfind(b"\n") + 1
            self._take(text[:end])
            self._tail = text[end:]

    def _take(self, text: bytes) -> None:
        written = as_characters(text)
        self.rewritten |= written is not text
        self._ready += written


def _options(dialect: Dialect, cells: list[str], keep: Any) -> tuple[Any, Any, Any]:
    read = pyarrow.csv.ReadOptions(
        use_threads=False,
        block_size=_BLOCK_BYTES,
        column_names=cells,
        skip_rows=dialect.skip_lines,
        skip_rows_after_names=int(dialect.header),
    )
    escaped = dialect.escape not in ("", dialect.quote)
    parse = pyarrow.csv.ParseOptions(
        delimiter=dialect.delimiter,
        quote_char=dialect.quote or False,
        double_quote=not escaped,
        escape_char=dialect.escape if escaped else False,
        newlines_in_values=True,
        invalid_row_handler=keep,
    )
    convert = pyarrow.csv.ConvertOptions(
        column_types=dict.fromkeys(cells, pa.binary()),
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
        check_utf8=False,
    )
    return read, parse, convert


def _with_bad_rows(table: pa.Table, bad: list[Any], before: int) -> pa.Table:
    """`table` with the bad rows, numbered from 1 behind `before` earlier ones, in their places."""
    texts = pa.nulls(table.num_rows, pa.binary())
    if not bad:
        return table.append_column("headrace: bad row", texts)
    total = table.num_rows + len(bad)
    places = np.array([row.number for row in bad]) - 1 - before
    is_bad = np.zeros(total, bool)
    is_bad[places] = True
    source = np.empty(total, np.int64)
    source[~is_bad] = np.arange(table.num_rows)
    source[is_bad] = np.arange(table.num_rows, total)
    nothing = {name: pa.nulls(len(bad), pa.binary()) for name in table.column_names}
    said = pa.array([as_bytes(row.text.encode()) for row in bad], pa.binary())
    both = pa.concat_tables(
        [
            table.append_column("headrace: bad row", texts),
            pa.table({**nothing, "headrace: bad row": said}),
        ]
    )
    return both.take(pa.array(source))


def _may_quote(sample: bytes, delimiter: str) -> bool:
    """Whether cells in quotes are what this file may hold: it has some, or no quote so far.

    One quote that is never closed makes DuckDB believe that quotes mean nothing.
    """
    end = re.escape(delimiter.encode())
    cell = rb'(?:^|%s)"[^"\r\n]*"(?:%s|\r?$)' % (end, end)
    return b'"' not in sample or re.search(cell, sample, re.MULTILINE) is not None


def _sentence(error: Exception) -> str:
    return " ".join(str(error).split("\n\n")[0].split())


def _character(sniffed: str) -> str:
    return "" if sniffed in ("(empty)", "\x00") else sniffed


def _expression_type(sniffed: str) -> str:
    plain = "TIMESTAMP" if sniffed.startswith("TIMESTAMP") else sniffed
    return plain if plain in _PLAIN_TYPES else "VARCHAR"
