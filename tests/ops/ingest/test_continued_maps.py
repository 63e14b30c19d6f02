"""JSON lines with --map that are gone on with have the columns of their beginning."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from headrace.ops.ingest import formats, identity, lines, pipe, streams
from headrace.ops.ingest.formats import Reading
from headrace.ops.ingest.ingest import ingest
from headrace.ops.ingest.report import IngestRefused, IngestReport
from headrace.storage.topics.log import LocalTopic
from headrace.values.schema import Field, Scalar, Schema
from tests.ops.ingest.topics import values

SALE = Schema(
    "Sale",
    (
        Field("amount", Scalar("float")),
        Field("note", Scalar("str"), nullable=True),
    ),
)
READING = Reading(schema=SALE, expressions={"amount": "coalesce(discounted, price) * 2"})
FIRST = b'{"price":10.5,"discounted":9}\n{"price":2}\n'
# Of these alone, price would be a whole number, discounted a text, or there would be no column.
LATER = b'{"price":3}\n{"price":4,"discounted":null}\n\n{"price":5}\n'


@pytest.fixture
def topic(tmp_path: Path) -> LocalTopic:
    return LocalTopic.ensure(tmp_path / "topics", "events", 1)


def taken(topic: LocalTopic, *paths: Path, reading: Reading = READING) -> IngestReport:
    return ingest(topic, paths, key=None, reading=reading)


def grow(path: Path, more: bytes) -> None:
    with path.open("ab") as file:
        file.write(more)


def test_a_file_that_grew_by_lines_without_a_column(topic: LocalTopic, tmp_path: Path) -> None:
    path, other = tmp_path / "o.ndjson", tmp_path / "p.ndjson"
    path.write_bytes(FIRST)
    taken(topic, path)
    grow(path, LATER.replace(b',"discounted":null', b""))
    other.write_bytes(FIRST + b"\n")
    report = taken(topic, path, other)
    assert [(file.added, file.known) for file in report.files] == [(3, "grown"), (2, "nothing")]
    amounts = [json.loads(value)["amount"] for value in values(topic)]
    assert amounts == [18.0, 4.0, 6.0, 8.0, 10.0, 18.0, 4.0]


@pytest.mark.parametrize("more", [b"\n", b"\r\n\n", b"nothing\n", b'{"price":'])
def test_a_file_that_grew_by_no_object(topic: LocalTopic, tmp_path: Path, more: bytes) -> None:
    path = tmp_path / "o.ndjson"
    path.write_bytes(FIRST)
    taken(topic, path)
    grow(path, more)
    report = taken(topic, path)
    assert report.added == len(more.split())
    assert values(topic)[2:] == more.split()
    grow(path, b'1}\n{"price":1}\n' if more.endswith(b":") else b'{"price":1}\n')
    assert taken(topic, path).files[0].refused is None
    assert json.loads(values(topic)[-1]) == {"amount": 2.0}


def test_a_field_that_only_later_lines_have_is_taken(
    topic: LocalTopic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(formats, "_SAMPLE_ROWS", 2)
    path = tmp_path / "o.ndjson"
    later = b'{"price":3,"note":"a \\"b\\""}\n{"price":3,"note":null,"other":1}\n'
    path.write_bytes(FIRST + later)
    taken(topic, path)
    found = [json.loads(value) for value in values(topic)]
    assert found[2:] == [{"amount": 6.0, "note": 'a "b"'}, {"amount": 6.0}]


class _Killed(BaseException):
    pass


@pytest.fixture
def _small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "BLOCK_BYTES", 16)
    monkeypatch.setattr(identity, "BLOCK_BYTES", 16)
    monkeypatch.setattr(pipe, "BLOCK_BYTES", 16)
    monkeypatch.setattr(lines, "_CHUNK_BYTES", len(FIRST))


def kill_behind(monkeypatch: pytest.MonkeyPatch, batches: int) -> None:
    appended = LocalTopic.append_numbered
    left = iter(range(batches))

    def append(self: LocalTopic, *args: Any, **kwargs: Any) -> Any:
        if next(left, None) is None:
            raise _Killed
        return appended(self, *args, **kwargs)

    monkeypatch.setattr(LocalTopic, "append_numbered", append)


@pytest.mark.usefixtures("_small_pieces")
@pytest.mark.parametrize("batches", [1, 2])
def test_a_killed_file_gives_the_bytes_of_an_unbroken_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batches: int
) -> None:
    path = tmp_path / "o.ndjson"
    path.write_bytes(FIRST + LATER * 5)
    unbroken = LocalTopic.ensure(tmp_path / "unbroken", "events", 1)
    taken(unbroken, path)
    topic = LocalTopic.ensure(tmp_path / "topics", "events", 1)
    with monkeypatch.context() as patch, pytest.raises(_Killed):
        kill_behind(patch, batches)
        taken(topic, path)
    there = len(values(topic))
    assert 0 < there < 17
    assert taken(topic, path).added == 17 - there
    assert values(topic) == values(unbroken)


def from_pipe(topic: LocalTopic, path: Path, content: bytes) -> IngestReport:
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(content,))
    writer.start()
    try:
        return taken(topic, path)
    finally:
        writer.join()


@pytest.mark.usefixtures("_small_pieces")
def test_so_does_a_killed_pipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = FIRST + LATER * 5
    unbroken = LocalTopic.ensure(tmp_path / "unbroken", "events", 1)
    from_pipe(unbroken, tmp_path / "one.jsonl", content)
    topic = LocalTopic.ensure(tmp_path / "topics", "events", 1)
    with monkeypatch.context() as patch, pytest.raises(_Killed):
        kill_behind(patch, 1)
        from_pipe(topic, tmp_path / "two.jsonl", content)
    there = len(values(topic))
    assert 0 < there < 17
    assert from_pipe(topic, tmp_path / "three.jsonl", content).added == 17 - there
    assert values(topic) == values(unbroken)


@pytest.mark.usefixtures("_small_pieces")
@pytest.mark.parametrize("before", [b"\n" * 60, b"starting up\n" * 9], ids=["blank", "words"])
def test_objects_may_begin_behind_other_lines(
    topic: LocalTopic, tmp_path: Path, before: bytes
) -> None:
    path = tmp_path / "o.ndjson"
    path.write_bytes(before + FIRST)
    taken(topic, path)
    notes = [b"starting up"] * before.count(b"up")
    assert values(topic)[: len(notes)] == notes
    found = [json.loads(value)["amount"] for value in values(topic)[len(notes) :]]
    assert found == [18.0, 4.0]


def test_a_file_without_objects_is_refused_and_nothing_of_it_added(
    topic: LocalTopic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(formats, "_SAMPLE_ROWS", 100)
    monkeypatch.setattr(lines, "_RECORDS_MAX", 10)
    for count in (1, 99, 1_000):
        path = tmp_path / f"{count}.ndjson"
        path.write_bytes(b"price,discounted\n" * count)
        with pytest.raises(IngestRefused, match="holds no JSON objects"):
            taken(topic, path)
    assert values(topic) == []


def test_blank_lines_alone_are_nothing_to_refuse(topic: LocalTopic, tmp_path: Path) -> None:
    path = tmp_path / "o.ndjson"
    path.write_bytes(b"\n\n\n")
    report = taken(topic, path)
    assert (report.added, report.files[0].empty) == (0, 3)
    grow(path, FIRST)
    assert taken(topic, path).added == 2
