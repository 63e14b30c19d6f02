"""Odd partition values keep their rows, for our reader and for Delta's."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable
from hypothesis import given
from hypothesis import strategies as st

from headrace.storage.lake.columns import METADATA
from headrace.storage.lake.compaction import FILES_MIN
from headrace.storage.lake.lake import DeltaLake
from headrace.storage.lake.partitions import directory_name, split
from tests.storage.lake.lakes import JOB, TidiedLake, delta_rows, event, mark, rows

ODD = [
    "a/b",
    "a=b",
    "a b",
    "naïve",
    "日本",
    "%2F",
    "..",
    "#?&",
    "'\"",
    "\n\t",
    "{}",
    "x" * 300,
    "é" * 99,
]


def delivered(directory: Path, type_: pa.DataType, values: list[Any]) -> None:
    schema = pa.schema([pa.field("p", type_), *METADATA])
    sent = []
    for number, value in enumerate(values):
        meta = {name: event(number)[name] for name in METADATA.names}
        sent.append({"p": value, **meta, "_offset": number, "_partition": 0})
    target = DeltaLake(directory, schema, ("p",))
    target.open(JOB, 1)
    assert target.deliver(pa.Table.from_pylist(sent, schema=schema), mark(1)) == len(values)


def test_odd_strings(tmp_path: Path) -> None:
    values = [*ODD, None, *ODD]
    delivered(tmp_path / "lake", pa.string(), values)
    assert [row["p"] for row in rows(tmp_path / "lake")] == values
    assert [row["p"] for row in delta_rows(tmp_path / "lake")] == values


def test_an_empty_string_is_not_null_for_us(tmp_path: Path) -> None:
    delivered(tmp_path / "lake", pa.string(), ["", None, ""])
    assert [row["p"] for row in rows(tmp_path / "lake")] == ["", None, ""]
    # Delta itself has no empty string among its partition values.
    assert [row["p"] for row in delta_rows(tmp_path / "lake")] == [None, None, None]


@pytest.mark.parametrize(
    ("type_", "values"),
    [
        (pa.int64(), [-(2**63), 0, None, 7]),
        (pa.bool_(), [True, False, None]),
        (pa.date32(), [date(1969, 12, 31), None, date(9999, 1, 1)]),
        (pa.timestamp("us"), [datetime(1969, 1, 1, 0, 0, 0, 1), None, datetime(2026, 1, 1)]),
    ],
    ids=str,
)
def test_types(tmp_path: Path, type_: pa.DataType, values: list[Any]) -> None:
    delivered(tmp_path / "lake", type_, values)
    assert [row["p"] for row in rows(tmp_path / "lake")] == values
    assert [row["p"] for row in delta_rows(tmp_path / "lake")] == values


@pytest.mark.parametrize(
    ("type_", "values"),
    [
        (pa.string(), [*ODD, "", None]),
        (pa.timestamp("us"), [datetime(2026, 1, 1, 12, 30), datetime(1969, 1, 1, 0, 0, 0, 1)]),
    ],
    ids=["texts", "times"],
)
def test_files_of_odd_partitions_are_put_together(
    tmp_path: Path, type_: pa.DataType, values: list[Any]
) -> None:
    schema = pa.schema([pa.field("p", type_), *METADATA])
    target = TidiedLake(tmp_path, schema, ("p",))
    target.open(JOB, 1)
    for epoch in range(1, FILES_MIN + 1):
        sent = []
        for partition, value in enumerate(values):
            meta = {name: event(0)[name] for name in METADATA.names}
            sent.append({"p": value, **meta, "_offset": epoch, "_partition": partition})
        target.deliver(pa.Table.from_pylist(sent, schema=schema), mark(epoch))
    files = DeltaTable(str(tmp_path)).file_uris()
    assert len(files) < 2 * len(values), files
    assert [row["p"] for row in rows(tmp_path)] == values * FILES_MIN
    assert len(delta_rows(tmp_path)) == len(values) * FILES_MIN


@given(st.lists(st.tuples(st.sampled_from(["a", "b", "", None]), st.integers(0, 8))))
def test_split_keeps_every_row_in_order(pairs: list[tuple[str | None, int]]) -> None:
    table = pa.table(
        {
            "p": pa.array([p for p, _ in pairs], pa.string()),
            "q": pa.array([q for _, q in pairs], pa.int64()),
            "n": pa.array(range(len(pairs)), pa.int64()),
        }
    )
    wanted: dict[tuple[str | None, int], list[int]] = {}
    for number, pair in enumerate(pairs):
        wanted.setdefault(pair, []).append(number)
    found = {values: part["n"].to_pylist() for values, part in split(table, ("p", "q"))}
    assert found == wanted


@given(st.text(), st.text())
def test_directory_names_fit_and_differ(left: str, right: str) -> None:
    names = [directory_name("p", text * 10) for text in (left, right)]
    assert (names[0] == names[1]) == (left == right)
    for name in names:
        assert "/" not in name and len(name.encode()) <= 255
