"""Rows as table, CSV, JSON and Parquet: exact, the same bytes every time."""

from __future__ import annotations

import csv
import errno
import io
import json
import os
import tempfile
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.cli.rows import TABLE_ROWS_MAX, write_rows
from headrace.values.errors import DiskRefused

ROWS = pa.table(
    {
        "text": pa.array(["a", None, "", 'q"z', "l,1\nn", "é"]),
        "number": pa.array([1, 2, None, -4, 5, 6], pa.int64()),
        "exact": pa.array([Decimal("1.50"), None, *[Decimal("0.10")] * 4], pa.decimal128(38, 2)),
        "real": pa.array([0.1, float("nan"), float("inf"), 1e300, -0.0, None]),
        "time": pa.array([datetime(2026, 1, 5), datetime(2026, 1, 5, 1, 2, 3, 40)] + [None] * 4),
        "bytes": pa.array([b"\xc3\xa9", b"\xff", None, b"", b"{}", b"x"]),
        "list": pa.array([[{"t": datetime(2026, 1, 5), "x": 1.0}], [], None, [None], [], []]),
    }
)


def written(rows: pa.Table, format: str, tmp_path: Path) -> bytes:
    out = tmp_path / f"rows.{format}"
    write_rows(rows, format, out)  # type: ignore[arg-type]
    return out.read_bytes()


@pytest.mark.parametrize("digits", [1, 17, 18, 37, 38])
def test_json_has_a_digit_before_each_point(tmp_path: Path, digits: int) -> None:
    given = [Decimal("-0.5"), Decimal(f"1e-{digits}"), None]
    rows = pa.table({"x": pa.array(given, pa.decimal128(digits, digits))})
    found = json.loads(written(rows, "json", tmp_path), parse_float=Decimal)
    assert [None if r["x"] is None else Decimal(r["x"]) for r in found] == given


def test_json_is_exact(tmp_path: Path) -> None:
    text = written(ROWS, "json", tmp_path).decode()
    rows = json.loads(text, parse_float=Decimal, parse_constant=pytest.fail)
    assert [r["text"] for r in rows] == ["a", None, "", 'q"z', "l,1\nn", "é"]
    assert [r["number"] for r in rows] == [1, 2, None, -4, 5, 6]
    assert rows[0]["exact"] == Decimal("1.50")
    assert [r["real"] for r in rows[1:4]] == [None, None, Decimal("1e300")]
    assert rows[0]["time"] == "2026-01-05T00:00:00Z"
    assert rows[1]["time"] == "2026-01-05T01:02:03.00004Z"
    assert [r["bytes"] for r in rows[:4]] == ["é", "\\xFF", None, ""]
    assert rows[0]["list"] == [{"t": "2026-01-05T00:00:00Z", "x": 1}]
    assert (rows[1]["list"], rows[2]["list"], rows[3]["list"]) == ([], None, [None])


def test_columns_of_one_name_keep_their_own_values(tmp_path: Path) -> None:
    rows = pa.Table.from_arrays([pa.array([n]) for n in range(4)], names=["a", "A", "a_1", "a"])
    assert json.loads(written(rows, "json", tmp_path)) == [{"a": 0, "A_2": 1, "a_1": 2, "a_3": 3}]
    assert written(rows, "csv", tmp_path).splitlines()[1] == b"0,1,2,3"
    assert b"0    1    2    3" in written(rows, "table", tmp_path)


def test_csv_can_be_read_back(tmp_path: Path) -> None:
    text = written(ROWS, "csv", tmp_path).decode()
    assert text.startswith("text,number,exact,real,time,bytes,list\na,1,1.50,0.1,2026-01-05 00:00")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [r["text"] for r in rows] == ["a", "", "", 'q"z', "l,1\nn", "é"]
    assert [r["number"] for r in rows] == ["1", "2", "", "-4", "5", "6"]
    assert text == written(ROWS, "csv", tmp_path).decode()


@given(st.lists(st.tuples(st.none() | st.text(), st.none() | st.integers(-(2**63), 2**63 - 1))))
@settings(max_examples=30, deadline=None)
def test_any_text_survives_json(rows: list[tuple[str | None, int | None]]) -> None:
    table = pa.table(
        {
            "text": pa.array([r[0] for r in rows], pa.string()),
            "number": pa.array([r[1] for r in rows], pa.int64()),
        }
    )
    with tempfile.TemporaryDirectory() as directory:
        text = written(table, "json", Path(directory))
    assert [(r["text"], r["number"]) for r in json.loads(text)] == rows


def test_a_table_is_aligned_and_says_how_many(tmp_path: Path) -> None:
    text = written(ROWS.select(["text", "number"]), "table", tmp_path).decode()
    assert text.splitlines() == [
        "text    number",
        "------  ------",
        "a            1",
        "             2",
        "",
        'q"z         -4',
        "l,1\\nn       5",
        "é            6",
        "(6 rows)",
    ]


def test_a_long_table_says_what_it_leaves_out(tmp_path: Path) -> None:
    rows = pa.table({"n": list(range(TABLE_ROWS_MAX + 5))})
    last = written(rows, "table", tmp_path).decode().splitlines()[-1]
    assert last == "(5 more of 1,005 rows; --format csv shows all)"


def test_parquet_holds_the_same_rows(tmp_path: Path) -> None:
    rows = ROWS.drop_columns(["real"])  # NaN equals nothing
    written(rows, "parquet", tmp_path)
    assert pq.read_table(tmp_path / "rows.parquet").equals(rows)


@pytest.mark.parametrize("format", ["table", "csv", "json", "parquet"])
def test_no_rows_is_not_nothing(format: str, tmp_path: Path) -> None:
    content = written(ROWS.slice(0, 0), format, tmp_path)
    assert content
    if format == "json":
        assert json.loads(content) == []


@pytest.mark.parametrize(
    ("place", "why"),
    [("no", errno.ENOENT), ("file", errno.ENOTDIR), ("x" * 300, errno.ENAMETOOLONG)],
)
def test_a_place_that_cannot_be_written_is_named(tmp_path: Path, place: str, why: int) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(
        DiskRefused, match=f"{place}/rows.csv cannot be written: {os.strerror(why)}"
    ):
        write_rows(ROWS, "csv", tmp_path / place / "rows.csv")
