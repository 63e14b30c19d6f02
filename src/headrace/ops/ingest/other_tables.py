"""Parquet files, and JSON lines with expressions over their columns, as tables."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet

from headrace.ops.ingest.exact import of_json
from headrace.ops.ingest.mapping import Column, Shape
from headrace.values.errors import InputRefused
from headrace.values.schema import literal, quote

_ROWS_MAX = 65_536


class ParquetReader:
    """The rows of a Parquet file as tables; InputRefused when it cannot be read."""

    def __init__(self, path: Path) -> None:
        self._name = str(path)
        try:
            self._file = pyarrow.parquet.ParquetFile(path)
        except (pa.ArrowInvalid, OSError) as error:
            raise self._refused(error) from None
        self.rows: int = self._file.metadata.num_rows

    def shape(self) -> Shape:
        """Columns with their own types; a row that cannot be mapped stands as JSON of all."""
        names = self._file.schema_arrow.names
        empty = self._renamed(self._file.schema_arrow.empty_table())
        types = duckdb.connect().from_arrow(empty).types
        columns = tuple(
            Column(name, str(type_), f'"value {i}"')
            for i, (name, type_) in enumerate(zip(names, types, strict=True))
        )
        row = "struct_pack({})".format(
            ", ".join(f'{quote(name)} := "value {i}"' for i, name in enumerate(names))
        )
        return Shape(
            columns=columns,
            raw=f"coalesce(try(encode(to_json({row})::varchar)), encode(({row})::varchar))",
            empty=empty,
        )

    def __iter__(self) -> Iterator[pa.Table]:
        try:
            for batch in self._file.iter_batches(_ROWS_MAX):
                yield self._renamed(pa.table(batch))
        except (pa.ArrowInvalid, OSError) as error:
            raise self._refused(error) from None

    def _renamed(self, table: pa.Table) -> pa.Table:
        return table.rename_columns([f"value {i}" for i in range(table.num_columns)])

    def _refused(self, error: Exception) -> InputRefused:
        return InputRefused(
            f"{self._name} cannot be read as Parquet: {str(error).splitlines()[0]}",
            remedy="If it is something else, say so with --format ndjson|csv|combined.",
        )


def json_lines_shape(sample: pa.Array, name: str) -> Shape:
    """The shape of tables of one binary column `value`, a JSON object per row.

    Columns and types are those of `sample`, the first lines; InputRefused if it has none.
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
        raise InputRefused(
            f"{name} holds no JSON objects, so it has no columns for --map",
            remedy="If it is something else, say so with --format csv|combined|parquet.",
        )
    with tempfile.NamedTemporaryFile(suffix=".ndjson") as file:
        Path(file.name).write_text("\n".join(objects), encoding="utf-8")
        relation = connection.sql(
            f"FROM read_json({literal(file.name)}, format = 'newline_delimited', "
            "sample_size = -1, maximum_object_size = 16777216)"
        )
        names, types = relation.columns, relation.types
    columns = []
    for column, type_ in zip(names, types, strict=True):
        path = literal("$." + '"' + column.replace('"', '\\"') + '"')
        text = f"nullif(json_extract(\"json value\", {path})::varchar, 'null')"
        string = f'json_extract_string("json value", {path})'
        value = of_json(text, string, type_)
        columns.append(Column(column, str(type_), value, text=text, json=True))
    return Shape(
        columns=tuple(columns),
        raw="value",
        empty=pa.table({"value": pa.array([], pa.binary())}),
        prepare='try(decode(value)::json) AS "json value"',
        fits="json_type(\"json value\") = 'OBJECT'",
    )
