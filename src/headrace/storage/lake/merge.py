"""A lake that exists and a definition that went on: columns may come, never change or go."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from headrace.storage.lake.columns import type_sql
from headrace.values.errors import StateRefused


def columns_to_add(present: pa.Schema, declared: pa.Schema, directory: Path) -> list[pa.Field]:
    """The top-level columns of `declared` that the lake lacks in whole or, if nested, in part.

    Raises StateRefused, naming the column and both types, when one changed its type or is gone.
    """
    for problem in _problems(pa.struct(list(present)), pa.struct(list(declared)), ""):
        raise StateRefused(
            f"The lake {directory} does not fit the definition any more: {problem}",
            remedy="Declare the column as the lake has it, or give this output another name; "
            "rows that are there are never rewritten.",
        )
    return [
        field
        for field in declared
        if present.get_field_index(field.name) < 0 or present.field(field.name).type != field.type
    ]


def _problems(present: pa.DataType, declared: pa.DataType, path: str) -> Iterator[str]:
    if pa.types.is_struct(present) and pa.types.is_struct(declared):
        for field in present:
            inner = f"{path}.{field.name}".removeprefix(".")
            index = declared.get_field_index(field.name)
            if index < 0:
                shown = type_sql(field.type)
                yield f"its column {inner!r} ({shown}) is not declared; the definition lost it"
            else:
                yield from _problems(field.type, declared.field(index).type, inner)
    elif pa.types.is_list(present) and pa.types.is_list(declared):
        yield from _problems(present.value_type, declared.value_type, f"{path}[]")
    elif present != declared:
        yield f"column {path!r} is {type_sql(present)} there and {type_sql(declared)} here"


def widened(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """`table`, written when the lake had fewer columns, with all columns of `schema`.

    A dictionary of values of a column's type stays one.
    """
    columns, fields = [], []
    for field in schema:
        index = table.schema.get_field_index(field.name)
        column = pa.nulls(table.num_rows, field.type) if index < 0 else table.column(index)
        if pa.types.is_dictionary(column.type) and column.type.value_type == field.type:
            field = field.with_type(column.type)
        elif column.type != field.type:
            column = pc.cast(column, field.type)
        columns.append(column)
        fields.append(field)
    return pa.table(columns, schema=pa.schema(fields))
