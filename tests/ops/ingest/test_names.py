"""Whatever a file calls its columns, expressions and records mean these columns."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headrace.ops.ingest.formats import Reading
from headrace.ops.ingest.ingest import ingest
from headrace.ops.ingest.keys import KeyReader
from headrace.ops.ingest.report import IngestRefused
from headrace.storage.topics.log import LocalTopic
from headrace.values.errors import UsageError
from headrace.values.schema import Field, Scalar, Schema
from tests.ops.ingest.topics import values

# What Headrace itself called, or calls, what it adds.
OF_HEADRACE = ("value", "json value", "mapped row", "unmapped", "bad row", "line parts", "value 0")


def records(
    tmp_path: Path, path: Path, schema: Schema | None, **expressions: str
) -> list[dict[str, Any]]:
    topic = LocalTopic.ensure(tmp_path / "topics", "events", 1)
    ingest(topic, [path], key=None, reading=Reading(schema=schema, expressions=expressions))
    return [json.loads(value) for value in values(topic)]


def written(tmp_path: Path, kind: str, rows: list[dict[str, int]]) -> Path:
    """A file of one format with these rows, all of the same columns."""
    path = tmp_path / f"rows.{kind}"
    if kind == "parquet":
        names = list(rows[0])
        columns = [pa.array([row[name] for row in rows]) for name in names]
        pq.write_table(pa.table(columns, names=names), path)
    elif kind == "csv":
        lines = [rows[0].keys(), *(map(str, row.values()) for row in rows)]
        path.write_text("".join(",".join(line) + "\n" for line in lines))
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize("kind", ["ndjson", "csv", "parquet"])
@pytest.mark.parametrize("name", [*OF_HEADRACE, "value 1", "text 0", "text 1", "cell 0", "cell 1"])
def test_a_column_called_as_headrace_calls_its_own(tmp_path: Path, kind: str, name: str) -> None:
    path = written(tmp_path, kind, [{"other": 70, name: 3}, {"other": 80, name: 4}])
    said = {"twice": f'"{name}" * 2', "other": "other + 1"}
    found = records(tmp_path, path, None, **said)
    assert [{field: int(value) for field, value in row.items()} for row in found] == [
        {"other": 71, name: 3, "twice": 6},
        {"other": 81, name: 4, "twice": 8},
    ]


def test_a_field_called_value_that_is_missing_is_null(tmp_path: Path) -> None:
    path = tmp_path / "s.ndjson"
    path.write_text('{"id":"a","value":3.2}\n{"id":"b"}\n')
    schema = Schema("Any", (Field("kind", Scalar("str")),))
    said = {"kind": "if(value is null, 'none', 'some')"}
    assert records(tmp_path, path, schema, **said) == [{"kind": "some"}, {"kind": "none"}]


TWO = Schema("Two", tuple(Field(name, Scalar("int")) for name in ("id", "Id", "n")))


@pytest.mark.parametrize("kind", ["ndjson", "parquet"])
def test_names_that_differ_only_in_case_are_two_columns(tmp_path: Path, kind: str) -> None:
    path = written(tmp_path, kind, [{"Id": 1, "id": 2, "m": 30}, {"Id": 4, "id": 5, "m": 60}])
    assert records(tmp_path, path, TWO, n="m + 1") == [
        {"id": 2, "Id": 1, "n": 31},
        {"id": 5, "Id": 4, "n": 61},
    ]


@pytest.mark.parametrize("kind", ["ndjson", "parquet"])
@pytest.mark.parametrize(("asked", "taken"), [("id", 2), ("Id", 1), ('"id"', 2)])
def test_one_of_them_alone_can_be_asked_for(
    tmp_path: Path, kind: str, asked: str, taken: int
) -> None:
    path = written(tmp_path, kind, [{"Id": 1, "id": 2}])
    assert records(tmp_path, path, TWO, n=asked) == [{"id": 2, "Id": 1, "n": taken}]


@pytest.mark.parametrize("kind", ["ndjson", "parquet"])
@pytest.mark.parametrize("asked", ["id + 1", "ID", '"Id" * 2'])
def test_but_nothing_can_be_made_of_them(tmp_path: Path, kind: str, asked: str) -> None:
    path = written(tmp_path, kind, [{"Id": 1, "id": 2, "m": 3}])
    with pytest.raises(UsageError, match="SQL does not tell (Id|id) and (Id|id) apart"):
        records(tmp_path, path, TWO, n=asked)


def test_a_row_of_parquet_with_such_names_stays_as_it_was_read(tmp_path: Path) -> None:
    path = written(tmp_path, "parquet", [{"Id": 1, "id": 2, "m": 3}])
    found = records(tmp_path, path, TWO, n="m + 9223372036854775807")
    assert found == [{"Id": 1, "id": 2, "m": 3}]


def test_json_that_duckdb_finds_no_types_for_is_refused_in_words(tmp_path: Path) -> None:
    path = tmp_path / "s.ndjson"
    path.write_text('{"deep":{"Id":1,"id":2},"m":3}\n')
    with pytest.raises(IngestRefused, match="finds no columns for --map in .*Duplicate name"):
        records(tmp_path, path, TWO, n="m")


def test_the_key_of_bytes_is_that_of_texts_whatever_its_name() -> None:
    read = KeyReader("a(value")
    lines = [b'{"a(value": "x"}', b'{"a(value": "\xff"}', b"[]"]
    assert read(pa.array(lines[::2])).to_pylist() == [b"x", None]
    assert read(pa.array(lines)).to_pylist() == [b"x", None, None]
