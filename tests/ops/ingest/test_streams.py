"""Plain, gzip and zstd input, whole and torn."""

from __future__ import annotations

import gzip
import io
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import zstandard

from headrace.ops.ingest import streams
from headrace.ops.ingest.streams import (
    BLOCK_BYTES,
    Torn,
    block_digest,
    file_blocks,
    open_input,
    pipe_blocks,
)
from headrace.values.errors import InputRefused

CONTENT = b"".join(b'{"n": %d}\n' % number for number in range(50_000))


class Changing(io.RawIOBase):
    """A file of the bytes that `content` has when it is read."""

    def __init__(self, content: bytes | bytearray) -> None:
        self._content, self._at = content, 0

    def seek(self, at: int, whence: int = 0) -> int:
        self._at = at
        return at

    def read(self, size: int = -1) -> bytes:
        return bytes(self._content[self._at : self._at + size])


def blocks_of(raw: bytes | bytearray, start: int = 0) -> Iterator[bytes]:
    """The blocks of what `raw` is now, as they are read from what it will be."""
    steps = range(0, len(raw), BLOCK_BYTES)
    digests = [block_digest(bytes(raw[step : step + BLOCK_BYTES])) for step in steps]
    file: Any = Changing(raw)
    return file_blocks(file, len(raw), digests, start, lambda done: None)


def read(raw: bytes, start: int = 0) -> bytes:
    return b"".join(blocks_of(raw, start))


PACKED = {
    "plain": CONTENT,
    "gzip": gzip.compress(CONTENT),
    "gzip of two members": gzip.compress(CONTENT[:1_000]) + gzip.compress(CONTENT[1_000:]),
    "gzip filled up with zeros": gzip.compress(CONTENT) + bytes(100),
    "zstd": zstandard.compress(CONTENT),
    "zstd of two frames": zstandard.compress(CONTENT[:9]) + zstandard.compress(CONTENT[9:]),
    "gzip in gzip members of nothing": gzip.compress(b"") + gzip.compress(CONTENT),
}


@pytest.mark.parametrize("kind", PACKED)
@pytest.mark.parametrize("start", [0, 5, 100_000, len(CONTENT)])
def test_input_is_unpacked_from_any_place(kind: str, start: int) -> None:
    assert read(PACKED[kind], start) == CONTENT[start:]


def test_nothing_and_less_than_a_mark_are_plain() -> None:
    for raw in (b"", b"\x1f", b"\x1f\x8b", b"ab"):
        if raw != b"\x1f\x8b":
            assert read(raw) == raw
    with pytest.raises(Torn):
        read(b"\x1f\x8b")


@pytest.mark.parametrize("kind", ["gzip", "zstd", "gzip of two members"])
@pytest.mark.parametrize("keep", [0.3, 0.9])
def test_a_torn_stream_gives_what_there_is_first(kind: str, keep: float) -> None:
    raw = PACKED[kind]
    found = b""
    with pytest.raises(Torn, match="cut off"):
        for block in blocks_of(raw[: int(len(raw) * keep)]):
            found += block
    assert found
    assert CONTENT.startswith(found)


def test_a_damaged_stream_says_so() -> None:
    raw = bytearray(PACKED["gzip"])
    raw[len(raw) // 2] ^= 0xFF
    with pytest.raises(Torn, match="damaged"):
        read(bytes(raw))


def test_a_small_bomb_unpacks_in_bounded_pieces() -> None:
    for raw in (gzip.compress(bytes(300 << 20), 9), zstandard.compress(bytes(300 << 20))):
        sizes = [len(block) for block in blocks_of(raw)]
        assert sum(sizes) == 300 << 20
        assert max(sizes) <= 160 << 20


def test_what_cannot_be_opened_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(InputRefused, match="does not exist"):
        open_input(tmp_path / "missing")
    with pytest.raises(InputRefused, match="is a directory"):
        open_input(tmp_path)


@pytest.mark.parametrize("place", [0, 1, BLOCK_BYTES, 2 * BLOCK_BYTES - 1, 2 * BLOCK_BYTES + 9])
@pytest.mark.parametrize("start", [0, 7, BLOCK_BYTES, BLOCK_BYTES + 7])
def test_nothing_is_given_of_a_block_that_is_another_now(place: int, start: int) -> None:
    raw, given = bytearray(b"x" + os.urandom(2 * BLOCK_BYTES + 9)), b""
    blocks = blocks_of(raw, start)
    raw[place] ^= 1
    with pytest.raises(Torn, match="written over"):
        for block in blocks:
            given += block
    assert given == raw[start : max(start, place - place % BLOCK_BYTES)]


@pytest.mark.parametrize("kind", ["plain", "gzip", "zstd"])
def test_a_file_that_is_emptied_is_torn_wherever_it_is_gone_on_with(kind: str) -> None:
    raw = bytearray(PACKED[kind])
    blocks = blocks_of(raw, len(CONTENT) - 9)
    raw.clear()
    with pytest.raises(Torn, match="written over"):
        next(blocks)


class Clock:
    """Stands until it is moved."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds


def test_only_time_that_is_waited_cuts_what_a_pipe_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe that is always full is not cut up, however long each of its blocks is worked on."""
    clock, stop = Clock(), threading.Event()
    monkeypatch.setattr(streams, "time", clock)
    reading, writing = os.pipe()
    given = []
    os.write(writing, b"full ")
    for block in pipe_blocks(reading, stop, lambda done: None):
        given.append(block)
        clock.seconds += 1
        if len(given) == 5:
            break
        os.write(writing, b"full")
    assert all(given)
    os.close(reading)
    os.close(writing)


def test_a_pipe_that_is_never_empty_is_cut_once_it_was_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, stop = Clock(), threading.Event()
    reading, writing = os.pipe()

    def select(*_: object) -> tuple[list[int], list[int], list[int]]:
        clock.seconds += 0.03
        os.write(writing, b"line\n")
        return [reading], [], []

    monkeypatch.setattr(streams, "time", clock)
    monkeypatch.setattr(streams, "select", SimpleNamespace(select=select))
    blocks = pipe_blocks(reading, stop, lambda done: None)
    given = [next(blocks) for _ in range(10)]
    assert given == [*[b"line\n"] * 4, b"", *[b"line\n"] * 4, b""]
    os.close(reading)
    os.close(writing)
