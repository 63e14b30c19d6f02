"""CSV files that grow: each row once, and once more whole where it was half written before."""

from __future__ import annotations

import csv
import gzip
import io
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.ops.ingest import csv_tables
from headrace.ops.ingest.identity import Note, Rows
from headrace.ops.ingest.ingest import ingest
from headrace.storage.topics.log import LocalTopic
from tests.ops.ingest.test_ingest import killed, taken
from tests.ops.ingest.topics import values

BEGIN = b'id,text,n\n1,"a ""b""",10\n2,"c",20\n'
ROW = b'3,"d\n e",300'


@pytest.fixture
def topic(tmp_path: Path) -> LocalTopic:
    return LocalTopic.ensure(tmp_path / "topics", "events", 1)


def rows_in(topic: LocalTopic) -> list[list[str]]:
    """The cells of a topic's records; of one that was no whole row, its text."""
    found = []
    for value in values(topic):
        try:
            row: Any = json.loads(value)
        except ValueError:
            row = None
        whole = isinstance(row, dict)
        found.append(
            [str(cell) for cell in row.values()] if whole else [value.decode(errors="replace")]
        )
    return found


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstandard.compress])
@pytest.mark.parametrize("cut", range(1, len(ROW) + 1))
def test_a_row_that_was_half_written_is_taken_once_more_whole(
    topic: LocalTopic, tmp_path: Path, pack: Any, cut: int
) -> None:
    """Wherever the writer's buffer ended in the row, also behind a newline inside of quotes."""
    path = tmp_path / "grows.csv"
    path.write_bytes(pack(BEGIN + ROW[:cut]))
    assert taken(ingest(topic, [path], key=None)) == (3, 0, "nothing")
    half = cut < len(ROW)
    for more, added in ((ROW[cut:] + b'\n4,"f",40\n', 1 + half), (b'5,"g",50\n', 1)):
        there = len(values(topic))
        path.write_bytes(path.read_bytes() + pack(more))
        assert taken(ingest(topic, [path], key=None)) == (added, there, "grown")
    found = rows_in(topic)
    assert len(found) == 5 + half
    wanted = [["1", 'a "b"', "10"], ["2", "c", "20"], ["3", "d\n e", "300"]]
    assert [*found[:2], *found[-3:]] == [*wanted, ["4", "f", "40"], ["5", "g", "50"]]
    assert taken(ingest(topic, [path], key=None)) == (0, 5 + half, "all")


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("more", [b"", b"x,y"])
def test_a_last_row_that_stays_what_it_was_is_not_taken_twice(
    topic: LocalTopic, tmp_path: Path, end: bytes, more: bytes
) -> None:
    path = tmp_path / "grows.csv"
    content = end.join([b"a,b", b"1,2", b"3,4"])
    path.write_bytes(content)
    ingest(topic, [path], key=None)
    # Its columns may be texts now, and were numbers when it was taken.
    path.write_bytes(content + end + more)
    ingest(topic, [path], key=None)
    assert rows_in(topic) == [["1", "2"], ["3", "4"], *([["x", "y"]] if more else [])]


cells = st.sampled_from(["1", "22", "a", "b c", 'q"u', "x,y", "two\nlines", "é", ""])


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(cells, st.integers(0, 999)), min_size=1, max_size=6),
    st.lists(st.floats(0, 1), max_size=4),
)
def test_whatever_the_writer_s_buffers_are(
    tmp_path_factory: pytest.TempPathFactory, written: list[tuple[str, int]], cuts: list[float]
) -> None:
    """Every row that the file has at last is there once, in order; all others were half ones."""
    directory = tmp_path_factory.mktemp("any")
    topic = LocalTopic.ensure(directory / "topics", "events", 1)
    text = io.StringIO()
    quoted = csv.writer(text, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
    quoted.writerows((f"k{number}", *row) for number, row in enumerate(written))
    more = text.getvalue().encode()
    path = directory / "grows.csv"
    for cut in sorted({*(int(cut * len(more)) for cut in cuts), len(more)}):
        path.write_bytes(BEGIN + more[:cut])
        ingest(topic, [path], key=None)
    before, found = rows_in(topic)[:2], rows_in(topic)[2:]
    assert before == [["1", 'a "b"', "10"], ["2", "c", "20"]]
    last = {row[0]: row for row in found if len(row) == 3}
    assert list(last.values()) == [[f"k{n}", *map(str, row)] for n, row in enumerate(written)]
    assert len(found) <= len(written) + len(cuts)


class Cut(Exception):
    pass


def test_a_file_of_many_blocks_grows_by_what_is_new(
    topic: LocalTopic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many blocks lie before the end, and where an ingest was cut short behind each."""
    monkeypatch.setattr(csv_tables, "_BLOCK_BYTES", 1 << 12)
    path, number = tmp_path / "grows.csv", 0
    path.write_bytes(b"id,n\n")
    append = LocalTopic.append_numbered
    for more in (3_000, 1, 1, 2_500, 1):
        with path.open("ab") as file:
            file.writelines(b"k%d,%d\n" % (n % 7, n) for n in range(number, number + more))
        number += more
        for parts in (1, 2, 3):
            left = iter(range(parts))

            def cut(*given: Any, **named: Any) -> Any:
                if next(left, None) is None:  # noqa: B023
                    raise Cut
                return append(*given, **named)

            with monkeypatch.context() as patch, suppress(Cut):
                patch.setattr(LocalTopic, "append_numbered", cut)
                ingest(topic, [path], key=None)
        ingest(topic, [path], key=None)
        assert [int(row[1]) for row in rows_in(topic)] == list(range(number))


def test_a_killed_ingest_of_a_row_that_went_on_adds_only_what_is_missing(tmp_path: Path) -> None:
    path, topics = tmp_path / "many.csv", str(tmp_path / "topics")
    topic = LocalTopic.ensure(tmp_path / "topics", "events", 1)
    count = 1_500_000
    whole = b"id,n\n" + b"".join(b"k%d,%d\n" % (n % 7, n) for n in range(count))
    path.write_bytes(whole[: whole.index(b"k3,12344\n") + 6])
    ingest(topic, [path], key="id")
    before = sum(topic.end_offsets())
    path.write_bytes(whole)
    for dots in (4, 6):
        killed([topics, str(path)], dots)
    added, there, known = taken(ingest(topic, [path], key="id"))
    assert known in ("part", "grown", "all")
    assert (added + there, there >= before) == (count + 1, True)
    numbers = [int(json.loads(value)["n"]) for value in values(topic)]
    assert numbers == [*range(12_344), 123, *range(12_344, count)]


def test_a_note_of_before_says_nothing_of_rows(topic: LocalTopic, tmp_path: Path) -> None:
    path = tmp_path / "grows.csv"
    path.write_bytes(b"a,b\n1,2\n3,4\n")
    ingest(topic, [path], key=None)
    [state] = topic.producers().values()
    assert state.note is not None and state.note["rows"]["retaken"] == 0
    old = {name: value for name, value in state.note.items() if name != "rows"}
    note = Note.from_json(old)
    assert note is not None and note.rows == Rows()
