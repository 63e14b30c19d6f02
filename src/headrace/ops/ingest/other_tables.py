"""Parquet files, and JSON lines with expressions over their columns, as tables."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import duckdb
import pyarrow as pa
import pyarrow.parquet
from duckdb.sqltypes import DuckDBPyType

from headrace.ops.ingest.exact import of_json
from headrace.ops.ingest.mapping import LINE, Column, Shape
from headrace.values.errors import InputRefused
from headrace.values.schema import literal, quote

_ROWS_MAX = 65_536
# As JSON they may be some times as long, and an append may not be longer than a gibibyte.
_BYTES_MAX = 64 << 20
# Objects with more names than these are maps by data, not rows with columns.
_NAMES_MAX = 1_000


class ParquetReader:
    """The rows of a Parquet file, which is open, as tables; InputRefused when it cannot be read."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._name = name
        try:
            self._file = pyarrow.parquet.ParquetFile(file)
        except (pa.ArrowInvalid, OSError) as error:
            raise self._refused(error) from None
        self.rows: int = self._file.metadata.num_rows

    def shape(self) -> Shape:
        """Columns with their own types; a row that cannot be mapped stands as JSON of all."""
        names = self._file.schema_arrow.names
        empty = self._renamed(self._file.schema_arrow.empty_table())
        types = duckdb.connect().from_arrow(empty).types
        columns = tuple(
            Column(name, str(type_), f'"headrace: value {i}"')
            for i, (name, type_) in enumerate(zip(names, types, strict=True))
        )
        members = ", ".join(
            f'{literal(name)}, "headrace: value {i}"' for i, name in enumerate(names)
        )
        # A struct, other than a JSON object, tells no names apart that differ only in case.
        seen = Counter(name.lower() for name in names)
        row = "struct_pack({})".format(
            ", ".join(
                f"{quote(name if seen[name.lower()] == 1 else f'{name} {i}')} "
                f':= "headrace: value {i}"'
                for i, name in enumerate(names)
            )
        )
        return Shape(
            columns=columns,
            raw=f"coalesce(try(encode(json_object({members})::varchar)), encode(({row})::varchar))",
            empty=empty,
        )

    def __iter__(self) -> Iterator[pa.Table]:
        try:
            for batch in self._file.iter_batches(self._rows_max()):
                table = self._renamed(pa.table(batch))
                step = max(1, table.num_rows * _BYTES_MAX // max(table.nbytes, _BYTES_MAX))
                for start in range(0, table.num_rows, step):
                    yield table.slice(start, step)
        except (pa.ArrowInvalid, OSError) as error:
            raise self._refused(error) from None

    def _rows_max(self) -> int:
        """As many rows as are read at once: fewer of long ones."""
        about = self._file.metadata
        size = sum(about.row_group(i).total_byte_size for i in range(about.num_row_groups))
        fitting: int = _BYTES_MAX * self.rows // max(size, 1)
        return max(1, min(_ROWS_MAX, fitting))

    def _renamed(self, table: pa.Table) -> pa.Table:
        return table.rename_columns([f"headrace: value {i}" for i in range(table.num_columns)])

    def _refused(self, error: Exception) -> InputRefused:
        return InputRefused(
            f"{self._name} cannot be read as Parquet: {str(error).splitlines()[0]}",
            remedy="If it is something else, say so with --format ndjson|csv|combined.",
        )


def json_lines_shape(sample: pa.Array, name: str, fields: Sequence[str]) -> Shape | None:
    """The shape of tables of one binary column `LINE`, a JSON object per row.

    Columns and types are those of `sample`, the first lines (None if none is an object); those of
    `fields` that it does not have may come later. InputRefused if DuckDB finds no types.
    """
    connection = duckdb.connect()
    objects = (
        connection.from_arrow(pa.table({"value": sample}))
        .project("try(decode(value)::json) AS value")
        .filter("json_type(value) = 'OBJECT'")
        .to_arrow_table()["value"]
        .to_pylist()
    )
    if not objects:
        return None
    told = dict(_names_and_types(connection, objects, name))
    later = {field: DuckDBPyType("JSON") for field in fields if field not in told}
    columns = []
    for column, type_ in (told | later).items():
        path = _path(column)
        text = f"nullif(json_extract(\"headrace: json\", {path})::varchar, 'null')"
        string = f'json_extract_string("headrace: json", {path})'
        value = of_json(text, string, type_)
        columns.append(Column(column, str(type_), value, text=text, json=True))
    return Shape(
        columns=tuple(columns[: len(told)]),
        later=tuple(columns[len(told) :]),
        raw=quote(LINE),
        empty=pa.table({LINE: pa.array([], pa.binary())}),
        prepare=f'try(decode({quote(LINE)})::json) AS "headrace: json"',
        fits="json_type(\"headrace: json\") = 'OBJECT'",
    )


def _names_and_types(
    connection: duckdb.DuckDBPyConnection, objects: list[str], name: str
) -> list[tuple[str, DuckDBPyType]]:
    """The columns of JSON objects as they are written in them, and the types that fit."""
    rows = connection.from_arrow(pa.table({"value": pa.array(objects, pa.string())}))
    keys = rows.project("unnest(json_keys(value::json)) AS key").distinct().order("key")
    names = [key for (key,) in keys.fetchall()]
    if len({key.lower() for key in names}) < len(names) <= _NAMES_MAX:
        # DuckDB would call one of two that differ only in case something else.
        members = (f"'column {i}', value::json -> {_path(key)}" for i, key in enumerate(names))
        told = rows.project(f"json_object({', '.join(members)})::varchar").fetchall()
        objects = [text for (text,) in told]
        found = _sniffed(connection, objects, name)
        return [(key, found[f"column {i}"]) for i, key in enumerate(names)]
    return list(_sniffed(connection, objects, name).items())


def _sniffed(
    connection: duckdb.DuckDBPyConnection, objects: list[str], name: str
) -> dict[str, DuckDBPyType]:
    with tempfile.NamedTemporaryFile(suffix=".ndjson") as file:
        Path(file.name).write_text("\n".join(objects), encoding="utf-8")
        try:
            relation = connection.sql(
                f"FROM read_json({literal(file.name)}, format = 'newline_delimited', "
                "sample_size = -1, maximum_object_size = 16777216)"
            )
        except duckdb.Error as error:
            raise InputRefused(
                f"DuckDB finds no columns for --map in {name}: {str(error).splitlines()[0]}",
                remedy="Without --map its lines are taken as they are, for a view to take apart.",
            ) from None
        return dict(zip(relation.columns, relation.types, strict=True))


def _path(key: str) -> str:
    return literal('$."' + key.replace('"', '\\"') + '"')
