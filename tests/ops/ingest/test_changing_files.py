"""Files that are cut, written over or replaced while they are read: nothing of them is lost."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headrace.ops.ingest import identity, other_tables, streams
from headrace.ops.ingest import ingest as ingesting
from headrace.ops.ingest.ingest import ingest
from headrace.ops.ingest.report import IngestRefused
from headrace.storage.topics.log import LocalTopic
from tests.ops.ingest.test_ingest import lines_of, taken
from tests.ops.ingest.topics import values

_BLOCK = 1 << 12


@pytest.fixture
def topic(tmp_path: Path) -> LocalTopic:
    return LocalTopic.ensure(tmp_path / "topics", "events", 1)


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "BLOCK_BYTES", _BLOCK)
    monkeypatch.setattr(identity, "BLOCK_BYTES", _BLOCK)
    monkeypatch.setattr(other_tables, "_ROWS_MAX", 10)


def rows_of(count: int, first: int = 0) -> bytes:
    return b"id,n\n" + b"".join(b"k%d,%d\n" % (n % 7, n) for n in range(first, first + count))


def packed(count: int, first: int = 0) -> bytes:
    return gzip.compress(lines_of(count, first))


def numbers(topic: LocalTopic) -> list[int]:
    return sorted(int(json.loads(value)["n"]) for value in values(topic))


def cut(path: Path, fresh: bytes) -> None:
    os.truncate(path, 0)


def begun_anew(path: Path, fresh: bytes) -> None:
    """Other content, and more than was read of the old one."""
    with path.open("r+b") as file:
        file.truncate()
        file.write(fresh)


def cut_short(path: Path, fresh: bytes) -> None:
    os.truncate(path, path.stat().st_size - 1)


@pytest.mark.parametrize("change", [cut, begun_anew, cut_short])
@pytest.mark.parametrize(
    ("name", "content"), [("f.jsonl", lines_of), ("f.csv", rows_of), ("f.jsonl.gz", packed)]
)
@pytest.mark.parametrize("blocks", [0, 1, 2])
def test_a_rotated_copy_brings_what_was_cut(
    topic: LocalTopic,
    tmp_path: Path,
    name: str,
    content: Callable[..., bytes],
    change: Callable[[Path, bytes], None],
    blocks: int,
) -> None:
    path, copy = tmp_path / name, tmp_path / f"copy-{name}"
    old, fresh = content(5_000), content(3_000, 100_000)
    path.write_bytes(old)
    copy.write_bytes(old)
    seen = []

    def progress(*_: object) -> None:
        seen.append(1)
        if len(seen) == blocks:
            change(path, fresh)

    def opened(*given: Any, **named: Any) -> Any:
        task = identity.task_for(*given, **named)
        change(path, fresh)
        return task

    with pytest.MonkeyPatch.context() as patch:
        if not blocks:
            patch.setattr(ingesting, "task_for", opened)
        with pytest.raises(IngestRefused, match="cut or written over while it was read"):
            ingest(topic, [path], key=None, progress=progress)
    there = len(values(topic))
    assert there < 5_000
    assert taken(ingest(topic, [copy], key=None))[:2] == (5_000 - there, there)
    assert numbers(topic) == list(range(5_000))
    path.write_bytes(fresh)
    assert ingest(topic, [copy, path], key=None).added == 3_000
    assert numbers(topic) == [*range(5_000), *range(100_000, 103_000)]


@pytest.mark.parametrize(("name", "content"), [("f.jsonl", lines_of), ("f.csv", rows_of)])
def test_a_file_that_grows_while_it_is_read_is_taken_as_it_was(
    topic: LocalTopic, tmp_path: Path, name: str, content: Callable[[int], bytes]
) -> None:
    path, grown = tmp_path / name, content(6_000)
    path.write_bytes(content(5_000))

    def progress(*_: object) -> None:
        path.write_bytes(grown)

    assert taken(ingest(topic, [path], key=None, progress=progress)) == (5_000, 0, "nothing")
    assert taken(ingest(topic, [path], key=None)) == (1_000, 5_000, "grown")
    assert numbers(topic) == list(range(6_000))


def parquet(path: Path, first: int) -> Path:
    pq.write_table(pa.table({"n": list(range(first, first + 100))}), path)
    # Written long ago: a clock may be too coarse to tell two writes in a row.
    os.utime(path, (1, 1))
    return path


@pytest.mark.parametrize("name", ["f.jsonl", "f.csv", "f.parquet"])
def test_a_file_that_is_replaced_is_taken_as_it_was_opened(
    topic: LocalTopic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    path, other = tmp_path / name, tmp_path / f"new-{name}"
    for number, file in enumerate((path, other)):
        if name.endswith("parquet"):
            parquet(file, 1_000 * number)
        else:
            file.write_bytes((rows_of if "csv" in name else lines_of)(100, 1_000 * number))

    def replaced(*given: Any, **named: Any) -> Any:
        task = identity.task_for(*given, **named)
        other.replace(path)
        return task

    with monkeypatch.context() as patch:
        patch.setattr(ingesting, "task_for", replaced)
        assert taken(ingest(topic, [path], key=None)) == (100, 0, "nothing")
    assert numbers(topic) == list(range(100))
    assert taken(ingest(topic, [path], key=None)) == (100, 0, "nothing")
    assert numbers(topic) == [*range(100), *range(1_000, 1_100)]


@pytest.mark.parametrize("appended", [0, 1])
def test_a_parquet_file_that_is_written_over_is_refused_and_goes_on_as_a_copy(
    topic: LocalTopic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, appended: int
) -> None:
    path, copy = parquet(tmp_path / "f.parquet", 0), parquet(tmp_path / "copy.parquet", 0)
    fresh = parquet(tmp_path / "new.parquet", 1_000).read_bytes()
    done, append = [], LocalTopic.append_numbered

    def changed(*given: Any, **named: Any) -> Any:
        task = identity.task_for(*given, **named)
        path.write_bytes(fresh)
        return task

    def appending(*given: Any, **named: Any) -> Any:
        done.append(append(*given, **named))
        if len(done) == appended:
            path.write_bytes(fresh)
        return done[-1]

    with monkeypatch.context() as patch:
        if appended:
            patch.setattr(LocalTopic, "append_numbered", appending)
        else:
            patch.setattr(ingesting, "task_for", changed)
        with pytest.raises(IngestRefused, match="was written to while it was read"):
            ingest(topic, [path], key=None)
    there = len(values(topic))
    assert numbers(topic) == list(range(there)) and 10 * appended <= there < 100
    assert taken(ingest(topic, [copy], key=None))[:2] == (100 - there, there)
    assert ingest(topic, [path, copy], key=None).added == 100
    assert numbers(topic) == [*range(100), *range(1_000, 1_100)]
