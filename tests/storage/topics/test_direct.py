"""Large appends past the page cache: the same bytes, wherever they begin and end."""

from __future__ import annotations

import errno
import os
import random
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from headrace.storage.topics import direct
from headrace.storage.topics.direct import DIRECT_BYTES_MIN, write_large
from headrace.storage.topics.log import LocalTopic


def pieces_of(content: bytes, seed: int) -> list[bytes]:
    chooser = random.Random(seed)
    cuts = sorted(chooser.randrange(len(content) + 1) for _ in range(5))
    bounds = [0, 0, *cuts, len(content)]
    return [content[a:b] for a, b in zip(bounds, bounds[1:], strict=False)]


@pytest.mark.parametrize("start", [0, 64, 4095, 4096, 12_345])
@pytest.mark.parametrize("beyond", [-1, 0, 1, 4096, 1_048_576 + 17])
def test_the_same_bytes(tmp_path: Path, start: int, beyond: int) -> None:
    content = random.Random(beyond).randbytes(DIRECT_BYTES_MIN + beyond)
    path = tmp_path / "file"
    path.write_bytes(b"x" * start)
    descriptor = os.open(path, os.O_WRONLY)
    try:
        write_large(descriptor, pieces_of(content, start), start)
        os.pwrite(descriptor, b"behind", start + len(content))
    finally:
        os.close(descriptor)
    assert path.read_bytes() == b"x" * start + content + b"behind"


def test_a_file_system_without_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = random.Random(1).randbytes(DIRECT_BYTES_MIN + 5000)
    whole, calls = direct.write_at, []

    def refuse(descriptor: int, pieces: Any, position: int) -> None:
        calls.append(position)
        if len(calls) == 2:
            raise OSError(errno.EINVAL, "no")
        whole(descriptor, pieces, position)

    monkeypatch.setattr(direct, "write_at", refuse)
    descriptor = os.open(tmp_path / "file", os.O_WRONLY | os.O_CREAT)
    try:
        write_large(descriptor, [content], 0)
        os.pwrite(descriptor, b"end", len(content))
    finally:
        os.close(descriptor)
    assert (tmp_path / "file").read_bytes() == content + b"end" and len(calls) == 3


def test_an_append_is_read_as_it_was_given(tmp_path: Path) -> None:
    topic = LocalTopic.ensure(tmp_path, "t", 3)
    keys = pa.array([f"k{n % 977}".encode() for n in range(60_000)])
    values = pa.array([b"%d " % n * 20 for n in range(60_000)])
    assert values.nbytes > DIRECT_BYTES_MIN
    for soon in (True, False, False, True):
        topic.read_soon = soon
        topic.append(values, keys)
    other = LocalTopic.open(tmp_path, "t")
    begin, end = [0, 0, 0], topic.end_offsets()
    found = other.read(begin, end, records_max=10**9)
    assert len(found) == 240_000 and found.equals(topic.read(begin, end, records_max=10**9))
    for partition in range(3):
        rows = np.flatnonzero(found["partition"].to_numpy() == partition)
        taken = found["value"].take(pa.array(rows)).to_pylist()
        assert taken == taken[: len(taken) // 4] * 4
