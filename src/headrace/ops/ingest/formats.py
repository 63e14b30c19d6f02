"""Inputs as batches of records: whichever format, binary values in order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import xxhash

from headrace.ops.ingest.combined import combined_shape
from headrace.ops.ingest.csv_tables import CsvReader, csv_shape
from headrace.ops.ingest.identity import Rows
from headrace.ops.ingest.lines import LineBatch, LineReader, Place, cut_long
from headrace.ops.ingest.mapping import LINE, Mapper, Shape
from headrace.ops.ingest.other_tables import ParquetReader, json_lines_shape
from headrace.ops.ingest.report import Format
from headrace.ops.ingest.streams import Torn
from headrace.plan.operators import Source
from headrace.values.errors import InputRefused, UsageError, did_you_mean
from headrace.values.schema import Schema

FORMATS: tuple[Format, ...] = ("ndjson", "csv", "parquet", "combined")
_ENDINGS: dict[str, Format] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
}
_PACKED = (".gz", ".zst", ".zstd")
_SAMPLE_ROWS, _SAMPLE_BYTES = 20_000, 64 << 20


@dataclass(frozen=True)
class Reading:
    """How inputs become records.

    `format` None goes by the file's name. `expressions` are the SQL of --map by field. `schema`
    is the event class of the topic (None: any columns). Values above `value_bytes_max` are cut.
    `source` is how a job will judge the records (None: nobody says whether they fit).
    """

    format: Format | None = None
    expressions: Mapping[str, str] = field(default_factory=dict)
    schema: Schema | None = None
    value_bytes_max: int = 1 << 20
    source: Source | None = None


@dataclass(frozen=True)
class Part:
    """The next records of an input; for lines, the place behind them and its digest.

    For CSV, the `cells` that they were made of; `rows` is how far the file is taken with them.
    `unmapped` of them are not of the format, or an expression fails on them: they stand as they
    were. Nobody looks at JSON lines without expressions.
    """

    values: pa.Array
    place: Place | None = None
    digest: str | None = None
    unmapped: int = 0
    cells: pa.Table | None = None
    rows: Rows | None = None


def format_of(name: str, asked: str | None) -> Format:
    """The format asked for, else the one that the name says, else NDJSON; UsageError."""
    for known in FORMATS:
        if asked == known:
            return known
    if asked is not None:
        raise UsageError(f"There is no format {asked!r}", remedy=did_you_mean(asked, FORMATS))
    path = Path(name.lower())
    while path.suffix in _PACKED:
        path = path.with_suffix("")
    return _ENDINGS.get(path.suffix, "ndjson")


class Input:
    """The records of one stream of blocks (or Parquet file); iterate once.

    After iteration `torn` holds why the stream broke off behind `parts`, or None.
    """

    def __init__(self, name: str, format_: Format, reading: Reading) -> None:
        self.name = name
        self.format = format_
        self.torn: Torn | None = None
        self._reading = reading

    def lines(
        self,
        blocks: Iterator[bytes],
        place: Place,
        hasher: xxhash.xxh3_128 | None = None,
        beginning: Iterator[bytes] | None = None,
    ) -> Iterator[Part]:
        """NDJSON and log lines, from `place` on.

        `beginning` are the stream's blocks from its first byte (None: those are `blocks`): JSON
        has the same columns and types wherever it is gone on with.
        """
        reader = LineReader(blocks, place, self._reading.value_bytes_max, hasher)
        batches: Iterator[LineBatch] = iter(reader)
        mapper = None
        if self.format == "combined":
            mapper = self._mapper_of(combined_shape())
        elif self._reading.expressions:
            shape = None
            if beginning is not None:
                first = LineReader(beginning, Place(), self._reading.value_bytes_max)
                shape, _ = self._json_shape(iter(first))
            if shape is None:
                shape, read = self._json_shape(batches)
                batches = chain(read, batches)
            if shape is not None:
                mapper = self._mapper_of(shape)
        for batch in batches:
            values, unmapped = batch.values, 0
            if mapper is not None:
                values, unmapped = self._mapped(mapper, pa.table({LINE: values}))
            yield Part(values, batch.place, batch.digest, unmapped)
        self.torn = reader.torn

    def csv(self, blocks: Iterator[bytes]) -> Iterator[Part]:
        """The rows of a CSV stream, from the first."""
        reader = CsvReader(blocks, self.name)
        if reader.dialect is not None:
            mapper = self._mapper_of(csv_shape(reader.dialect))
            for table in reader:
                values, unmapped = self._mapped(mapper, table)
                yield Part(values, unmapped=unmapped, cells=table)
        self.torn = reader.torn

    def parquet(self, file: BinaryIO) -> Iterator[Part]:
        """The rows of a Parquet file, from the first."""
        reader = ParquetReader(file, self.name)
        mapper = self._mapper_of(reader.shape())
        for table in reader:
            values, unmapped = self._mapped(mapper, table)
            yield Part(values, unmapped=unmapped)

    def _json_shape(self, batches: Iterator[LineBatch]) -> tuple[Shape | None, list[LineBatch]]:
        """The shape by the first batch that holds an object, and the batches read to find it.

        InputRefused where many lines, or all, are none; None where there are no lines.
        """
        read, lines, size = [], 0, 0
        fields = () if self._reading.schema is None else self._reading.schema.fields
        names = [field.name for field in fields]
        for batch in batches:
            read.append(batch)
            shape = json_lines_shape(batch.values[:_SAMPLE_ROWS], self.name, names)
            if shape is not None:
                return shape, read
            lines += len(batch.values)
            size += batch.values.nbytes
            if lines > _SAMPLE_ROWS or size > _SAMPLE_BYTES:
                break
        if lines:
            raise InputRefused(
                f"{self.name} holds no JSON objects, so it has no columns for --map",
                remedy="If it is something else, say so with --format csv|combined|parquet.",
            )
        return None, read

    def _mapper_of(self, shape: Shape) -> Mapper:
        return Mapper(shape, self._reading.expressions, self._reading.schema)

    def _mapped(self, mapper: Mapper, table: pa.Table) -> tuple[pa.Array, int]:
        values, unmapped = mapper(table)
        return cut_long(values, self._reading.value_bytes_max), unmapped
