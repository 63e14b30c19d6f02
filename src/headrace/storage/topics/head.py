"""The published end of a topic: a small file that readers poll and that writers replace in place.

It is written after the frames it covers are durable, so nobody reads past what a power cut could
take back. It is written in place, so a reader may catch it half written: a checksum tells.
"""

from __future__ import annotations

import os
import struct
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import xxhash

from headrace.storage.durable import let_go
from headrace.storage.topics.disk import reading, sync_data, write_at
from headrace.values.errors import DiskRefused

FILE_NAME = "head"
_MAGIC = b"HRH1"
_TRIES = 50


@dataclass(frozen=True)
class Head:
    """What is in a topic: segments `first` to `segment`, the latter up to byte `position`.

    `begin` and `end` are the first offset there and the next offset to give, by partition;
    `arrival_us` is the arrival time of the last frame.
    """

    identity: str
    first: int
    segment: int
    position: int
    arrival_us: int
    begin: tuple[int, ...]
    end: tuple[int, ...]


def read_head(directory: Path, partitions: int) -> Head | None:
    """The head of the topic in `directory`; None when it is missing or stays damaged.

    DiskRefused where it cannot be read.
    """
    layout = _layout(partitions)
    for _ in range(_TRIES):
        try:
            with reading(directory / FILE_NAME):
                content = _read(f"{directory}/{FILE_NAME}", layout.size + 1)
        except FileNotFoundError:
            return None
        if len(content) == layout.size:
            checksum, magic, count, identity, first, segment, position, arrival_us, *offsets = (
                layout.unpack(content)
            )
            if checksum == xxhash.xxh3_64_intdigest(content[8:]) and magic == _MAGIC:
                return Head(
                    identity.hex(),
                    first,
                    segment,
                    position,
                    arrival_us,
                    tuple(offsets[:count]),
                    tuple(offsets[count:]),
                )
        time.sleep(0.0002)
    return None


def publish_head(directory: Path, head: Head, *, durable: bool = False) -> None:
    """Makes `head` what readers see; OSError where they cannot have seen it.

    Only one that takes something away must be `durable`: one that is too old is mended. OSError of
    such a one says nothing of what readers see.
    """
    count = len(head.end)
    content = bytearray(_layout(count).size)
    _layout(count).pack_into(
        content,
        0,
        0,
        _MAGIC,
        count,
        bytes.fromhex(head.identity),
        head.first,
        head.segment,
        head.position,
        head.arrival_us,
        *head.begin,
        *head.end,
    )
    struct.pack_into("<Q", content, 0, xxhash.xxh3_64_intdigest(memoryview(content)[8:]))
    descriptor = os.open(f"{directory}/{FILE_NAME}", os.O_WRONLY | os.O_CREAT, 0o644)
    try:
        write_at(descriptor, [content], 0)
        if durable:
            sync_data(descriptor)
    except OSError:
        # Some disks say what is wrong behind what they have done.
        if durable or not _may_show(directory, head):
            raise
    finally:
        let_go(descriptor)


def _may_show(directory: Path, head: Head) -> bool:
    """Whether readers may have seen `head`: also where it cannot be looked at."""
    try:
        return read_head(directory, len(head.end)) == head
    except DiskRefused:
        return True


def _read(path: str, size: int) -> bytes:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return os.read(descriptor, size)
    finally:
        os.close(descriptor)


@cache
def _layout(partitions: int) -> struct.Struct:
    return struct.Struct(f"<Q4sI16sQQQq{2 * partitions}q")
