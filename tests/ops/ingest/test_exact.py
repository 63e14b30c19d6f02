"""Values of a type that a file's beginning did not show: taken whole, or left as they were read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from headrace.ops.ingest import csv_tables, formats, identity, streams
from headrace.ops.ingest.formats import Reading
from headrace.ops.ingest.ingest import ingest
from headrace.storage.topics.log import LocalTopic
from tests.ops.ingest.topics import values

STAYED = "stayed as it was read"
_ROWS = 20


@pytest.fixture(autouse=True)
def _types_are_told_by_few_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "BLOCK_BYTES", 64)
    monkeypatch.setattr(identity, "BLOCK_BYTES", 64)
    monkeypatch.setattr(csv_tables, "_SAMPLE_BYTES", 64)
    monkeypatch.setattr(formats, "_SAMPLE_ROWS", 2)


def last(tmp_path: Path, name: str, lines: list[str], expression: str, read: object) -> object:
    """The field x that --map made of the last line, or STAYED if its record is `read`."""
    path = tmp_path / name
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    topic = LocalTopic.ensure(tmp_path / "topics", "events", 1)
    reading = Reading(expressions={"x": expression, "a": "1", "b": "1"})
    report = ingest(topic, [path], key=None, reading=reading)
    record = json.loads(values(topic)[-1])
    assert report.files[0].unmapped == (record == read)
    return STAYED if record == read else record["x"]


def of_csv(tmp_path: Path, beginning: str, cell: str, expression: str) -> object:
    lines = ["a,b", *[f"{beginning},1"] * _ROWS, f"{cell},1"]
    return last(tmp_path, "s.csv", lines, expression, {"a": cell, "b": "1"})


def of_json(tmp_path: Path, beginning: str, value: str, expression: str) -> object:
    lines = [f'{{"a":{text}}}' for text in [beginning] * _ROWS + [value]]
    return last(tmp_path, "s.ndjson", lines, expression, {"a": json.loads(value)})


@pytest.mark.parametrize(
    ("beginning", "cell", "expression", "expected"),
    [
        ("20", "19.99", "a * 2", STAYED),
        ("20", ".5", "a * 2", STAYED),
        ("20", "1e-3", "a * 2", STAYED),
        ("20", "9223372036854775808", "a", "9223372036854775808"),
        ("20", "9223372036854775808", "a + 0", STAYED),
        ("20", "-21", "a * 2", "-42"),
        ("20", "5.00", "a * 2", "10"),
        ("20", "1e3", "a * 2", "2000"),
        ("20", "19.99", "b * 2", "2"),
        ("20", "19.99", "a", "19.99"),
        ("1.5", "2", "a * 2", "4.0"),
        ("2026-01-05", "2026-01-05 13:45", "year(a)", STAYED),
        ("2026-01-05", "2026-01-05T00:00:01Z", "year(a)", STAYED),
        ("2026-01-05", "2027-02-06", "year(a)", "2027"),
        ("2026/01/05", "2027/02/06", "year(a)", "2027"),
        ("true", "19.99", "not a", STAYED),
    ],
)
def test_cells_of_csv(
    tmp_path: Path, beginning: str, cell: str, expression: str, expected: object
) -> None:
    assert of_csv(tmp_path, beginning, cell, expression) == expected


@pytest.mark.parametrize(
    ("beginning", "value", "expression", "expected"),
    [
        ("20", "1.7", "a * 2", STAYED),
        ("20", "1e-3", "a * 2", STAYED),
        ("20", "true", "a * 2", STAYED),
        ("20", '"1.7"', "a * 2", STAYED),
        ("20", '"7"', "a * 2", "14"),
        ("20", "7.0", "a * 2", "14"),
        ("20", "1e3", "a * 2", "2000"),
        ("20", "1e19", "a * 2", STAYED),
        ("20", "null", "coalesce(a, 7)", "7"),
        ("1.5", "2", "a * 2", "4.0"),
        ("1.5", "true", "a * 2", STAYED),
        ("true", "3", "not a", STAYED),
        ("true", "false", "not a", "true"),
        ('"2026-01-05"', '"2026-01-05 13:45"', "year(a)", STAYED),
        ('"2026-01-05"', '"2027-02-06"', "year(a)", "2027"),
        ('"13:45:00"', '"2026-01-05 13:45:00"', "hour(a)", STAYED),
        ('"13:45:00"', '"14:45:00"', "hour(a)", "14"),
        ("[1,2]", "[1,2.5]", "a[2]", STAYED),
        ("[1,2]", "[1,null,3]", "a[3]", "3"),
        ('{"n":[{"d":"2026-01-05"}]}', '{"n":[{"d":"2026-01-06 10:00"}]}', "a.n[1].d", STAYED),
        ('{"n":[{"d":"2026-01-05"}]}', '{"n":[{"d":"2026-01-06"}]}', "a.n[1].d", "2026-01-06"),
        ('{"n":1,"m":0.5}', '{"n":2,"m":1.5,"more":2.5}', "a.n + a.m", "3.5"),
        ('{"n":1}', '{"n":true}', "a.n", STAYED),
    ],
)
def test_values_of_json_lines(
    tmp_path: Path, beginning: str, value: str, expression: str, expected: object
) -> None:
    assert of_json(tmp_path, beginning, value, expression) == expected
