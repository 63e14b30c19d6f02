"""CSV files with bytes that are no UTF-8, also in rows that have too many cells."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.ops.ingest.ingest import ingest
from headrace.ops.ingest.undecodable import as_bytes, as_characters
from headrace.storage.topics.log import LocalTopic
from tests.ops.ingest.topics import values

LOOKS_WRITTEN = "\U0010f0c3".encode()
pieces = st.sampled_from([b"a", b"\xc3", b"\xa9", b"\xff", b"\n", "é".encode(), LOOKS_WRITTEN])


@given(st.lists(pieces | st.binary(max_size=4)).map(b"".join))
def test_any_bytes_become_text_and_themselves_again(content: bytes) -> None:
    text = as_characters(content)
    assert text.decode().count("\n") == content.count(b"\n")
    assert as_bytes(text) == content


@pytest.mark.parametrize("odd", [b"\xe9", b"\xff", LOOKS_WRITTEN, b"\xf4\x8f"])
def test_a_ragged_row_of_any_bytes_is_one_row_that_is_kept(tmp_path: Path, odd: bytes) -> None:
    """Latin-1 in a row with a cell too many, or in the middle of one, stops no other row."""
    topic = LocalTopic.ensure(tmp_path / "topics", "events", 1)
    path = tmp_path / "names.csv"
    ragged, cell = b"2,caf" + odd + b",4,5", b"3,t" + odd + b"t,6"
    path.write_bytes(b"id,name,n\n1,a,3\n" + ragged + b"\n" + cell + b"\n4,d,7\n")
    ingest(topic, [path], key=None)
    first, *odd_ones, last = values(topic)
    assert [*map(str, json.loads(first).values())] == ["1", "a", "3"]
    assert [*map(str, json.loads(last).values())] == ["4", "d", "7"]
    if odd == LOOKS_WRITTEN:
        assert json.loads(odd_ones.pop())["name"] == cell.decode().split(",")[1]
        assert odd_ones == [ragged]
    else:
        assert odd_ones == [ragged, cell]
