"""Input as a stream of byte blocks: files and standard input, plain, gzip or zstd.

What is compressed is known by its first bytes, not by its name. A stream that is cut off or
damaged inside its compression, and a file that is cut or written over while it is read, gives
everything that could be read and then raises `Torn`.
"""

from __future__ import annotations

import os
import select
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import xxhash
import zstandard

from headrace.values.errors import InputRefused

T = TypeVar("T")
BLOCK_BYTES = 4 << 20
# A few bytes may hold gigabytes; small pieces bound what one of them unpacks to.
_ZSTD_PIECE_BYTES = 4 << 10
_GZIP_PIECE_BYTES = 32 << 10
_PAUSE_SECONDS = 0.1
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"

STDIN = "-"

_CHANGED = (
    "it was cut or written over while it was read. If it was rotated, name the copy too: of that "
    "only the rest is added"
)


class Torn(Exception):
    """A stream ends, or stops making sense, before its end."""


def open_input(path: Path) -> BinaryIO:
    """Opens a file for reading; InputRefused in words when that cannot be."""
    try:
        if path.is_dir():
            raise InputRefused(
                f"{path} is a directory, not a file", remedy=f"Name the files: {path}/*"
            )
        return path.open("rb")
    except FileNotFoundError:
        raise InputRefused(
            f"{path} does not exist",
            remedy=f"Check the path; relative ones start here: {Path.cwd()}",
        ) from None
    except PermissionError:
        raise InputRefused(
            f"{path} may not be read by this user", remedy=f"chmod +r {path}"
        ) from None
    except OSError as error:
        raise InputRefused(f"{path} cannot be opened: {error.strerror}") from None


def block_digest(block: bytes) -> bytes:
    """What tells a block of a file from others: its XXH3-64."""
    return xxhash.xxh3_64_digest(block)


def file_blocks(
    file: BinaryIO,
    raw_bytes: int,
    blocks: Sequence[bytes],
    start_bytes: int,
    seen: Callable[[int], None],
) -> Iterator[bytes]:
    """The first `raw_bytes` of `file`, unpacked, from byte `start_bytes` of the unpacked on.

    `blocks` are the digests of each BLOCK_BYTES of them: nothing else is given. `seen` is told how
    far the raw file was read. Several may read one file by turns. Raises Torn.
    """

    def block(number: int) -> bytes:
        at = number * BLOCK_BYTES
        file.seek(at)
        found = file.read(min(BLOCK_BYTES, raw_bytes - at))
        if block_digest(found) != blocks[number]:
            raise Torn(_CHANGED)
        return found

    def raw(begin: int) -> Iterator[bytes]:
        for number in range(begin // BLOCK_BYTES, len(blocks)):
            found, at = block(number), number * BLOCK_BYTES
            seen(at + len(found))
            yield found[max(0, begin - at) :]

    if not blocks:
        return
    if block(0).startswith((_GZIP, _ZSTD)):
        yield from _without(_unpacked(raw(0)), start_bytes)
    else:
        yield from raw(start_bytes)


def unchanged(items: Iterator[T], name: str, file: BinaryIO, was: os.stat_result) -> Iterator[T]:
    """`items`, made of what stands anywhere in `file`, as long as that is as it `was`.

    Else InputRefused, also where they cannot be made any more.
    """
    while True:
        try:
            found = list(islice(items, 1))
        except InputRefused:
            _look_again(name, file, was)
            raise
        _look_again(name, file, was)
        if not found:
            return
        yield found[0]


def _look_again(name: str, file: BinaryIO, was: os.stat_result) -> None:
    now = os.fstat(file.fileno())
    if (now.st_size, now.st_mtime_ns) != (was.st_size, was.st_mtime_ns):
        raise InputRefused(f"{name} was written to while it was read")


def pipe_blocks(
    descriptor: int, stop: threading.Event, seen: Callable[[int], None]
) -> Iterator[bytes]:
    """What comes through a pipe, unpacked; an empty block says that it was waited for a while.

    Then what came so far is to be taken: more may always come, a little at a time. Time in which
    nobody asks does not count, or a slow topic would be given small pieces of fast input. Ends
    with the input or with `stop`. Raises Torn.
    """

    def raw() -> Iterator[bytes]:
        done, waited = 0, 0.0
        while not stop.is_set():
            begun = time.monotonic()
            if select.select([descriptor], [], [], max(0.0, _PAUSE_SECONDS - waited))[0]:
                block = os.read(descriptor, BLOCK_BYTES)
                waited += time.monotonic() - begun
                if not block:
                    return
                done += len(block)
                seen(done)
                yield block
            else:
                waited = _PAUSE_SECONDS
            if waited >= _PAUSE_SECONDS:
                waited = 0.0
                yield b""

    return _unpacked(raw())


def _without(blocks: Iterator[bytes], count: int) -> Iterator[bytes]:
    """`blocks` without their first `count` bytes."""
    for block in blocks:
        if count < len(block):
            yield block[count:]
        count = max(0, count - len(block))


def _unpacked(raw: Iterator[bytes]) -> Iterator[bytes]:
    """`raw` without its compression, if it has one."""
    head = b""
    for block in raw:
        head += block
        if not any(mark.startswith(head) for mark in (_GZIP, _ZSTD)):
            break
    blocks = _chained(head, raw)
    if head.startswith(_GZIP):
        blocks = _inflated(blocks, _GZIP_PIECE_BYTES, lambda: zlib.decompressobj(31), zlib.error)
    elif head.startswith(_ZSTD):
        unpacker = zstandard.ZstdDecompressor()
        blocks = _inflated(blocks, _ZSTD_PIECE_BYTES, unpacker.decompressobj, zstandard.ZstdError)
    yield from blocks


def _chained(head: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    if head:
        yield head
    yield from rest


def _inflated(
    blocks: Iterator[bytes], piece_bytes: int, member: Callable[[], Any], error: type[Exception]
) -> Iterator[bytes]:
    """Unpacks one member (gzip) or frame (zstd) after another; raises Torn."""
    unpacker = None
    for block in blocks:
        if not block:
            yield block
            continue
        for start in range(0, len(block), piece_bytes):
            piece = block[start : start + piece_bytes]
            while piece:
                if unpacker is None:
                    # gzip files may be filled up with zeros behind their last member.
                    piece = piece.lstrip(b"\x00")
                    if not piece:
                        break
                    unpacker = member()
                try:
                    unpacked = unpacker.decompress(piece)
                except error as reason:
                    raise Torn(f"its compression is damaged ({reason})") from None
                if unpacked:
                    yield unpacked
                piece = b""
                if unpacker.eof:
                    piece, unpacker = unpacker.unused_data, None
    if unpacker is not None:
        raise Torn("it is cut off inside its compression")
