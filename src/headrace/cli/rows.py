"""Rows of a query as text or a file: table, csv, json or parquet.

In CSV and JSON the same rows give the same bytes: null is empty (an empty text is `""`) or null,
times in JSON end in Z, bytes that are UTF-8 are text, others are escaped.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Literal

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from headrace.cli.session import session
from headrace.cli.tables import WHOLE, text_table
from headrace.storage.outbound.json_values import before_the_point
from headrace.values.errors import DiskRefused, UsageError
from headrace.values.schema import quote

Format = Literal["table", "csv", "json", "parquet"]
TABLE_ROWS_MAX = 1_000
CELL_CHARS_MAX = 200
_CHUNK_BYTES = 1 << 20


def write_rows(rows: pa.Table, format: Format, out: Path | None) -> None:
    """Writes `rows` to `out`, or to standard output; a name that stands twice becomes `name_1`.

    Says so where a table in a file does not hold all of them. Raises DiskRefused when `out` cannot
    be written, UsageError for Parquet on a terminal.
    """
    rows = rows.rename_columns(_distinct(rows.column_names))
    if out is None:
        if format == "parquet" and sys.stdout.isatty():
            raise UsageError(
                "Parquet is not for a terminal", remedy="Name a file: --out rows.parquet"
            )
        sys.stdout.flush()
        _WRITERS[format](rows, sys.stdout.buffer)
        sys.stdout.buffer.flush()
        return
    beside = out.with_name(f".{out.name}.part")
    try:
        with beside.open("wb") as file:
            whole = _WRITERS[format](rows, file)
        beside.replace(out)
    except OSError as error:
        with suppress(OSError):
            beside.unlink()
        raise DiskRefused(
            f"{out} cannot be written: {error.strerror}", remedy="Choose another with --out FILE."
        ) from error
    if not whole:
        session.note(
            f"{out} holds only a part: a table has at most {TABLE_ROWS_MAX:,} rows, and cells of "
            f"{CELL_CHARS_MAX} characters; --format csv writes all"
        )


def _distinct(names: list[str]) -> list[str]:
    """`names` without two that DuckDB would take for one, which would give both one's values."""
    taken = {name.lower() for name in names}
    found: list[str] = []
    seen: set[str] = set()
    for name in names:
        n, made = 0, name
        while made.lower() in (seen if n == 0 else taken | seen):
            n, made = n + 1, f"{name}_{n + 1}"
        seen.add(made.lower())
        found.append(made)
    return found


def _table(rows: pa.Table, file: BinaryIO) -> bool:
    shown = rows.slice(0, TABLE_ROWS_MAX)
    columns = [f"cast({_text(quote(f.name), f.type)} as varchar)" for f in rows.schema]
    cells = _select(shown, columns).fetchall()
    numbers = [i for i, f in enumerate(rows.schema) if _is_number(f.type)]
    full = [["" if cell is None else str(cell) for cell in row] for row in cells]
    body = [[_short(cell) for cell in row] for row in full]
    width = None if file is sys.stdout.buffer else WHOLE
    text = text_table(rows.column_names, body, right=numbers, columns=width)
    more = len(rows) - len(shown)
    end = f"({len(rows):,} row{'s' if len(rows) != 1 else ''})"
    if more:
        end = f"({more:,} more of {len(rows):,} rows; --format csv shows all)"
    file.write(f"{text}\n{end}\n".encode(errors="replace"))
    return not more and body == full


def _short(cell: str) -> str:
    return cell if len(cell) <= CELL_CHARS_MAX else cell[: CELL_CHARS_MAX - 1] + "…"


def _csv(rows: pa.Table, file: BinaryIO) -> bool:
    columns = [f"{_text(quote(f.name), f.type)} as {quote(f.name)}" for f in rows.schema]
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "rows.csv"
        _connection(rows).execute(
            f"copy (select {', '.join(columns)} from rows) to '{path}' (format csv, header true)"
        )
        with path.open("rb") as written:
            while chunk := written.read(_CHUNK_BYTES):
                file.write(chunk)
    return True


def _json(rows: pa.Table, file: BinaryIO) -> bool:
    fields = ", ".join(f"{quote(f.name)} := {_plain(quote(f.name), f.type)}" for f in rows.schema)
    cursor = _select(rows, [f"cast(to_json(struct_pack({fields})) as varchar)"])
    file.write(b"[")
    before = b"\n"
    while batch := cursor.fetchmany(10_000):
        for (line,) in batch:
            file.write(before + line.encode())
            before = b",\n"
    file.write(b"\n]\n")
    return True


def _parquet(rows: pa.Table, file: BinaryIO) -> bool:
    pq.write_table(rows, file, compression="zstd")
    return True


# They say whether all rows were written, whole.
_WRITERS: dict[Format, Callable[[pa.Table, BinaryIO], bool]] = {
    "table": _table,
    "csv": _csv,
    "json": _json,
    "parquet": _parquet,
}


def _connection(rows: pa.Table) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute("set timezone = 'UTC'")
    connection.register("rows", rows)
    return connection


def _select(rows: pa.Table, columns: list[str]) -> duckdb.DuckDBPyConnection:
    return _connection(rows).execute(f"select {', '.join(columns)} from rows")


def _text(sql: str, type_: pa.DataType) -> str:
    """`sql` with bytes as text."""
    if pa.types.is_binary(type_) or pa.types.is_large_binary(type_):
        return f"coalesce(try(decode({sql})), cast({sql} as varchar))"
    return sql


def _plain(sql: str, type_: pa.DataType) -> str:
    """`sql` as what JSON can hold, inside lists and structs too."""
    if pa.types.is_floating(type_):
        return f"case when isfinite({sql}) then {sql} end"
    if pa.types.is_decimal(type_):
        return before_the_point(sql, type_)
    if pa.types.is_timestamp(type_):
        text = f"strftime(cast({sql} as timestamp), '%Y-%m-%dT%H:%M:%S.%fZ')"
        return f"regexp_replace({text}, '\\.?0*Z$', 'Z')"
    if pa.types.is_list(type_) or pa.types.is_large_list(type_):
        return f"list_transform({sql}, lambda x: {_plain('x', type_.value_type)})"
    if pa.types.is_struct(type_):
        fields = [type_.field(i) for i in range(type_.num_fields)]
        inner = ", ".join(
            f"{quote(f.name)} := {_plain(f'{sql}.{quote(f.name)}', f.type)}" for f in fields
        )
        return f"case when {sql} is not null then struct_pack({inner}) end"
    return _text(sql, type_)


def _is_number(type_: pa.DataType) -> bool:
    return bool(
        pa.types.is_integer(type_) or pa.types.is_floating(type_) or pa.types.is_decimal(type_)
    )
