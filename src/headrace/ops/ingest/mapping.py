"""Rows of a file to JSON records: columns by name, or by the user's SQL expressions.

A row that cannot be mapped (an expression fails on it, or uses a value that does not fit its
column) stays as it was read, so that the reader makes a dead letter of it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from headrace.ops.ingest.fields import json_of_text, json_of_value
from headrace.storage.state.store import configure
from headrace.values.errors import UsageError, did_you_mean
from headrace.values.schema import Field, Schema, literal, quote

# What reads lines gives them by this name.
LINE = "headrace: line"
_ALLOWED = (
    "An expression of --map makes one value of the columns of its row: no subquery, no *, and "
    "nothing that changes from call to call, as random() does."
)


@dataclass(frozen=True)
class Column:
    """A column of the file: its name, the DuckDB type that expressions see, SQL for the value.

    `text` is SQL for the text that it was read from (None: it came with its type); `json` says
    that this text is JSON already.
    """

    name: str
    type: str
    value: str
    text: str | None = None
    json: bool = False


@dataclass(frozen=True)
class Shape:
    """What the tables of a file look like.

    All SQL is over the table as read plus what `prepare` adds (a list of `… AS name`). Internal
    names begin with "headrace: ", so that they are none of the file's: of two columns of one name
    DuckDB takes the first. `raw` is the record of a row that cannot be mapped (BLOB), `fits`
    whether it can be read at all. `defaults` are expressions for fields that get none from the
    user. `later` are columns with JSON texts that rows may have, though the first had none:
    fields of the same name take them, expressions do not see them.
    """

    columns: tuple[Column, ...]
    raw: str
    empty: pa.Table
    prepare: str = ""
    fits: str = "true"
    defaults: Mapping[str, str] = field(default_factory=dict)
    later: tuple[Column, ...] = ()


class Mapper:
    """Makes JSON records of tables of one shape.

    `expressions` are SQL by field; fields of `schema` without one go by the column of their name
    (without a schema, all columns do). Raises UsageError for what names no field or no column.
    """

    def __init__(self, shape: Shape, expressions: Mapping[str, str], schema: Schema | None) -> None:
        self._connection = duckdb.connect(config={"threads": 1})
        configure(self._connection)
        self._shape = shape
        self._schema = schema
        # SQL tells names that differ only in case as little apart as equal ones.
        seen = Counter(column.name.lower() for column in shape.columns)
        self._visible = [c for c in shape.columns if seen[c.name.lower()] == 1]
        if schema is not None:
            _check_fields(expressions, schema)
        record, used = self._record(expressions)
        fits = [f"({shape.fits})"]
        for column in used:
            if column.text is not None:
                fits.append(f"({column.text} IS NULL OR {quote(column.name)} IS NOT NULL)")
        self._mapped = f"CASE WHEN {' AND '.join(fits)} THEN try(encode({record})) END"
        try:
            self(shape.empty)
        except duckdb.Error as error:
            raise UsageError(
                f"The expressions of --map ({', '.join(expressions)}) do not go together: "
                f"{str(error).splitlines()[0]}",
                remedy=_ALLOWED,
            ) from None

    def __call__(self, table: pa.Table) -> tuple[pa.Array, int]:
        """One record (binary) per row of `table`, in order, and how many stayed as they were."""
        rows = self._typed(table, self._visible).project(f'*, {self._mapped} AS "headrace: record"')
        found = rows.project(
            f'coalesce("headrace: record", {self._shape.raw}) AS value, '
            '"headrace: record" IS NULL AS unmapped'
        ).to_arrow_table()
        values = found["value"].combine_chunks().cast(pa.binary())
        if len(values) != table.num_rows:
            raise UsageError(
                f"--map makes {len(values):,} values of {table.num_rows:,} rows",
                remedy="An expression of --map must make one value; take lists apart in a view.",
            )
        return values, pc.sum(found["unmapped"]).as_py() or 0

    def _record(self, expressions: Mapping[str, str]) -> tuple[str, list[Column]]:
        """SQL for the JSON text of a row, and the columns whose typed values it needs."""
        names = {column.name: column for column in self._shape.columns}
        asked = {**self._shape.defaults, **expressions}
        fields = list(names) if self._schema is None else [f.name for f in self._schema.fields]
        if self._schema is None:
            fields = list(dict.fromkeys([*fields, *asked]))
        members, used = [], []
        for name in fields:
            # An expression that only names a column takes the column as it was written.
            column = names.get(asked.get(name, name).strip().removeprefix('"').removesuffix('"'))
            if column is not None:
                sql = self._by_name(column, name)
            elif name in asked:
                type_, needed = self._bind(name, asked[name])
                sql = json_of_value(_whole(asked[name]), type_, self._field(name))
                used += needed
            else:
                continue
            key = literal(f"{_json_text(name)}:")
            members.append(f"{key} || coalesce({sql}, 'null')")
        if not members:
            raise UsageError(
                f"No column of the file is a field of {self._schema.name if self._schema else ''}",
                remedy="Say which is which with --map FIELD=EXPRESSION. Columns of the file: "
                + ", ".join(names),
            )
        return "'{' || " + " || ',' || ".join(members) + self._later(asked) + " || '}'", used

    def _later(self, asked: Mapping[str, str]) -> str:
        members = (
            f" || coalesce({literal(f',{_json_text(column.name)}:')} || {column.text}, '')"
            for column in self._shape.later
            if column.name not in asked
        )
        return "".join(members)

    def _by_name(self, column: Column, name: str) -> str:
        if column.text is None:
            return json_of_value(column.value, column.type, self._field(name))
        return column.text if column.json else json_of_text(column.text, self._field(name))

    def _field(self, name: str) -> Field | None:
        return None if self._schema is None else self._schema.field(name)

    def _bind(self, name: str, expression: str) -> tuple[str, list[Column]]:
        """The type of an expression and the columns it uses; UsageError when it has none."""
        columns = self._visible
        what = f"--map {name}={expression}"
        try:
            type_ = self._type_of(expression, columns)
        except duckdb.Error as error:
            reason = str(error).splitlines()[0]
            raise UsageError(f"{what}: {reason}", remedy=self._names_of(expression)) from None
        if type_ is None:
            raise UsageError(f"{what} makes several values of a row", remedy=_ALLOWED)
        try:
            self._typed(self._shape.empty, columns).project(f"try{_whole(expression)}")
        except duckdb.Error:
            raise UsageError(f"{what} asks for more than its row", remedy=_ALLOWED) from None
        near = [c for c in columns if c.name.lower() in expression.lower()]
        return type_, [column for column in near if self._needs(expression, column)]

    def _names_of(self, expression: str) -> str:
        """What an expression may name, and of what it seems to name why it may not."""
        said = "Columns of the file: " + ", ".join(column.name for column in self._shape.columns)
        hidden = [column.name for column in self._shape.columns if column not in self._visible]
        if not any(name.lower() in expression.lower() for name in hidden):
            return said
        return (
            f"{said}. SQL does not tell {' and '.join(hidden)} apart: --map FIELD={hidden[0]} "
            "takes one as it was written, and nothing else can be made of it."
        )

    def _needs(self, expression: str, column: Column) -> bool:
        others = tuple(other for other in self._visible if other is not column)
        try:
            self._type_of(expression, others)
        except duckdb.Error:
            return True
        return False

    def _type_of(self, expression: str, columns: Sequence[Column]) -> str | None:
        """The type of an expression; None when it makes several values."""
        rows = self._typed(self._shape.empty, columns).project(f"{_whole(expression)} AS value")
        if len(rows.types) > 1:
            return None
        if rows.to_arrow_table().num_rows:
            raise UsageError(
                f"{expression} makes one value of many rows",
                remedy="An expression of --map must be about one row; aggregate in a view.",
            )
        return str(rows.types[0])

    def _typed(self, table: pa.Table, columns: Sequence[Column]) -> duckdb.DuckDBPyRelation:
        """`table` with the prepared columns and those that expressions see."""
        rows = self._connection.from_arrow(table)
        if self._shape.prepare:
            rows = rows.project(f"*, {self._shape.prepare}")
        typed = (f"{column.value} AS {quote(column.name)}" for column in columns)
        return rows.project(", ".join(("*", *typed)))


def _whole(expression: str) -> str:
    """`expression` in brackets; it may end with a comment, which ends with its line."""
    return f"({expression}\n)"


def _check_fields(expressions: Mapping[str, str], schema: Schema) -> None:
    names = [f.name for f in schema.fields]
    for name in expressions:
        if name not in names:
            raise UsageError(
                f"--map {name}=…: {schema.name} has no field {name!r}",
                remedy=did_you_mean(name, names),
            )


def _json_text(name: str) -> str:
    return json.dumps(name, ensure_ascii=False)
