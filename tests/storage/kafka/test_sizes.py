"""Blocks hold all rows in their order, and no more of them than they may."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.storage.kafka.address import Address
from headrace.storage.kafka.cluster import Cluster
from headrace.storage.kafka.sizes import blocks, row_bytes

texts = st.none() | st.binary(max_size=4)
headers = st.none() | st.lists(st.tuples(st.text(max_size=3), texts), max_size=3)
rows = st.lists(st.tuples(texts, texts, headers), max_size=8)
HEADERS = pa.list_(pa.struct([("key", pa.string()), ("value", pa.binary())]))


@given(rows, st.booleans(), st.integers(0, 4))
def test_the_bytes_of_a_row_are_those_of_all_that_it_has(
    given_rows: list[tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]] | None]],
    with_headers: bool,
    skipped: int,
) -> None:
    columns = {
        "key": pa.array([key for key, _, _ in given_rows], pa.binary()),
        "value": pa.array([value for _, value, _ in given_rows], pa.binary()),
    }
    if with_headers:
        listed = [
            None if h is None else [{"key": k, "value": v} for k, v in h] for *_, h in given_rows
        ]
        columns["headers"] = pa.array(listed, HEADERS)
    wanted = [
        len(key or b"")
        + len(value or b"")
        + sum(len(k.encode()) + len(v or b"") for k, v in (h or []) if with_headers)
        for key, value, h in given_rows[skipped:]
    ]
    assert row_bytes(pa.record_batch(columns).slice(skipped)).tolist() == wanted


@given(st.lists(st.integers(0, 20), max_size=30), st.integers(1, 5), st.integers(0, 30))
def test_blocks_hold_all_rows_and_are_as_large_as_they_may_be(
    sizes: list[int], rows_max: int, bytes_max: int
) -> None:
    cuts = list(blocks(np.array(sizes, np.int64), rows_max, bytes_max))
    parts = [sizes[cut] for cut in cuts]
    assert [size for part in parts for size in part] == sizes
    for part, following in zip(parts, [*parts[1:], []], strict=False):
        assert len(part) == 1 or (part and sum(part) <= bytes_max and len(part) <= rows_max)
        if following:
            assert len(part) == rows_max or sum(part) + following[0] > bytes_max


@pytest.mark.parametrize(
    ("properties", "wanted"),
    [
        ({}, (1_000_000, 1 << 30)),
        ({"queue.buffering.max.kbytes": "8192"}, (1_000_000, 8 << 20)),
        ({"queue.buffering.max.messages": 500}, (500, 1 << 30)),
    ],
)
def test_the_queue_is_as_large_as_the_profile_says(
    properties: dict[str, object], wanted: tuple[int, int]
) -> None:
    assert Cluster(Address.parse("kafka://nowhere:1", properties), 1).queue() == wanted


def test_no_bound_of_rows_is_none() -> None:
    properties = {"queue.buffering.max.messages": "0"}
    assert Cluster(Address.parse("kafka://nowhere:1", properties), 1).queue()[0] > 1 << 60
