"""A definition that goes on: columns come, none changes or goes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from headrace.storage.lake.columns import METADATA
from headrace.storage.lake.lake import DeltaLake
from headrace.storage.lake.reading import version
from headrace.values.errors import StateRefused
from tests.storage.lake.lakes import JOB, TidiedLake, delta_rows, event, mark, rows

POINT = pa.struct([pa.field("x", pa.int64())])
WIDER = pa.struct([pa.field("x", pa.int64()), pa.field("at", pa.timestamp("us"))])


def schema(**columns: pa.DataType) -> pa.Schema:
    return pa.schema([*columns.items(), *METADATA])


def deliver(directory: Path, columns: pa.Schema, epoch: int, *sent: dict[str, Any]) -> None:
    meta = {name: event(0)[name] for name in METADATA.names}
    target = DeltaLake(directory, columns, grace_seconds=0)
    target.open(JOB, epoch)
    full = [{**meta, **row, "_offset": epoch * 10 + n} for n, row in enumerate(sent)]
    target.deliver(pa.Table.from_pylist(full, schema=columns), mark(epoch))


def seen(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{k: v for k, v in row.items() if not k.startswith("_")} for row in found]


def test_a_new_column_is_null_in_older_rows(tmp_path: Path) -> None:
    deliver(tmp_path, schema(a=pa.int64()), 1, {"a": 1})
    deliver(
        tmp_path,
        schema(b=pa.timestamp("us"), a=pa.int64()),
        2,
        {"a": 2, "b": event(1)["event_time"]},
    )
    wanted = [{"a": 1, "b": None}, {"a": 2, "b": event(1)["event_time"]}]
    assert seen(rows(tmp_path)) == seen(delta_rows(tmp_path)) == wanted


def test_a_new_column_shows_before_a_file_has_it(tmp_path: Path) -> None:
    deliver(tmp_path, schema(a=pa.int64()), 1, {"a": 1})
    deliver(tmp_path, schema(a=pa.int64(), b=pa.list_(pa.string())), 2)
    assert seen(rows(tmp_path)) == [{"a": 1, "b": None}]


def test_fields_inside_nested_columns_may_come_too(tmp_path: Path) -> None:
    deliver(
        tmp_path,
        schema(p=POINT, q=pa.list_(POINT)),
        1,
        {"p": {"x": 1}, "q": [{"x": 2}]},
        {"p": None},
    )
    value = {"x": 3, "at": event(0)["event_time"]}
    deliver(tmp_path, schema(p=WIDER, q=pa.list_(WIDER)), 2, {"p": value, "q": [value]})
    wanted = [
        {"p": {"x": 1, "at": None}, "q": [{"x": 2, "at": None}]},
        {"p": None, "q": None},
        {"p": value, "q": [value]},
    ]
    assert seen(rows(tmp_path)) == wanted
    assert len(delta_rows(tmp_path)) == 3


def test_compaction_puts_files_of_several_schemas_together(tmp_path: Path) -> None:
    for epoch in range(1, 5):
        deliver(tmp_path, schema(a=pa.int64(), p=POINT), epoch, {"a": epoch, "p": {"x": epoch}})
    wider = schema(a=pa.int64(), p=WIDER, q=pa.list_(WIDER))
    target = TidiedLake(tmp_path, wider)
    target.open(JOB, 9)
    meta = {name: event(0)[name] for name in METADATA.names}
    for epoch in range(5, 13):
        row = {**meta, "a": epoch, "p": {"x": epoch, "at": None}, "q": [], "_offset": epoch * 10}
        target.deliver(pa.Table.from_pylist([row], schema=wider), mark(epoch))
    names = [Path(uri).name for uri in DeltaTable(str(tmp_path)).file_uris()]
    assert any("compacted" in name for name in names) and len(names) < 12
    found = seen(rows(tmp_path))
    assert [row["a"] for row in found] == list(range(1, 13))
    assert [row["p"]["x"] for row in found] == list(range(1, 13))
    assert [row["q"] for row in found] == [None] * 4 + [[]] * 8


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ({"a": pa.int64()}, {"a": pa.string()}, "'a' is BIGINT there and VARCHAR here"),
        ({"a": pa.int64(), "b": pa.date32()}, {"a": pa.int64()}, r"'b' \(DATE\) is not declared"),
        ({"p": WIDER}, {"p": POINT}, "'p.at'"),
        ({"q": pa.list_(POINT)}, {"q": pa.list_(pa.int64())}, r"'q\[\]' is STRUCT\(\"x\" BIGINT\)"),
        (
            {"d": pa.decimal128(5, 2)},
            {"d": pa.decimal128(9, 2)},
            "DECIMAL.5,2. there and DECIMAL.9,2.",
        ),
    ],
)
def test_a_changed_or_lost_column_is_refused(
    tmp_path: Path, before: dict[str, Any], after: dict[str, Any], words: str
) -> None:
    deliver(tmp_path, schema(**before), 1)
    then = version(tmp_path)
    with pytest.raises(StateRefused, match=words):
        DeltaLake(tmp_path, schema(**after)).open(JOB, 2)
    assert version(tmp_path) == then


def test_another_partitioning_is_refused(tmp_path: Path) -> None:
    DeltaLake(tmp_path, schema(a=pa.int64()), ("a",)).open(JOB, 1)
    with pytest.raises(StateRefused, match="partitioned by a, the definition says nothing"):
        DeltaLake(tmp_path, schema(a=pa.int64())).open(JOB, 2)
