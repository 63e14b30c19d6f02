"""Plain, gzip and zstd input, whole and torn."""

from __future__ import annotations

import gzip
import io
import os
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
import zstandard

from headrace.ops.ingest import streams
from headrace.ops.ingest.streams import Torn, file_blocks, open_input, pipe_blocks
from headrace.values.errors import InputRefused

CONTENT = b"".join(b'{"n": %d}\n' % number for number in range(50_000))


def read(raw: bytes, start: int = 0, raw_bytes: int | None = None) -> bytes:
    size = len(raw) if raw_bytes is None else raw_bytes
    return b"".join(file_blocks(io.BytesIO(raw), size, start, lambda done: None))


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
        for block in file_blocks(io.BytesIO(raw), int(len(raw) * keep), 0, lambda done: None):
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
        sizes = [len(b) for b in file_blocks(io.BytesIO(raw), len(raw), 0, lambda done: None)]
        assert sum(sizes) == 300 << 20
        assert max(sizes) <= 160 << 20


def test_what_cannot_be_opened_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(InputRefused, match="does not exist"):
        open_input(tmp_path / "missing")
    with pytest.raises(InputRefused, match="is a directory"):
        open_input(tmp_path)


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
