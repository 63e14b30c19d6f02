"""Writing past the page cache, for appends that are large and not read soon.

A synced append waits for the disk anyway. Without the cache it costs a tenth of the processor
time, and takes no memory from what is read again (docs/decisions/0001-log-format.md).
"""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
from collections.abc import Sequence
from typing import Any

from headrace.storage.topics.disk import write_at

DIRECT_BYTES_MIN = 4 << 20
_BUFFER_BYTES = 1 << 20
# No common disk wants more; file systems that do refuse, and get the bytes through the cache.
_ALIGNMENT = 4096
_FLAG = getattr(os, "O_DIRECT", 0)


def write_large(descriptor: int, pieces: Sequence[Any], position: int) -> None:
    """Like `write_at`; what fills whole blocks of the disk goes there directly."""
    total = sum(len(piece) for piece in pieces)
    if not _FLAG or total < DIRECT_BYTES_MIN:
        write_at(descriptor, pieces, position)
        return
    flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
    try:
        _write(descriptor, pieces, position, position + total, flags)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):
            raise
        fcntl.fcntl(descriptor, fcntl.F_SETFL, flags)
        write_at(descriptor, pieces, position)


def _write(descriptor: int, pieces: Sequence[Any], start: int, end: int, flags: int) -> None:
    rest = [memoryview(piece).cast("B") for piece in pieces if len(piece)]
    first, last = -(-start // _ALIGNMENT) * _ALIGNMENT, end // _ALIGNMENT * _ALIGNMENT
    # Memory of its own: it begins where a page does.
    view = memoryview(mmap.mmap(-1, _BUFFER_BYTES))
    write_at(descriptor, [_next(rest, view, first - start)], start)
    fcntl.fcntl(descriptor, fcntl.F_SETFL, flags | _FLAG)
    for at in range(first, last, _BUFFER_BYTES):
        write_at(descriptor, [_next(rest, view, min(_BUFFER_BYTES, last - at))], at)
    fcntl.fcntl(descriptor, fcntl.F_SETFL, flags)
    write_at(descriptor, [_next(rest, view, end - last)], last)


def _next(rest: list[memoryview], view: memoryview, count: int) -> memoryview:
    """The next `count` bytes of `rest`, taken from it, in `view`."""
    filled = 0
    while filled < count:
        part = rest[0][: count - filled]
        view[filled : filled + len(part)] = part
        filled += len(part)
        rest[0] = rest[0][len(part) :]
        if not rest[0]:
            rest.pop(0)
    return view[:count]
