"""Who reads a topic and how far each is, so that retention removes nothing unread.

A checksum stands beside the offsets: one digit more, and retention would take what is still needed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import xxhash

from headrace.storage.topics.disk import reading, write_json
from headrace.values.errors import TopicRefused

_FILE_NAME = "readers.json"


def load_readers(directory: Path) -> dict[str, list[int]]:
    """The registered readers' next offsets, by partition."""
    path = directory / _FILE_NAME
    try:
        with reading(path):
            content = json.loads(path.read_bytes())
        # Logs of the first days have the readers alone.
        checksum = content.get("checksum")
        readers: dict[str, list[int]] = content["readers"] if type(checksum) is str else content
        if not all(type(at) is int for offsets in readers.values() for at in offsets):
            raise TypeError("an offset is a whole number")
        if type(checksum) is str and checksum != _checksum(readers):
            raise ValueError("its checksum is that of other content")
    except FileNotFoundError:
        return {}
    except (ValueError, LookupError, AttributeError, TypeError) as error:
        raise TopicRefused(
            f"{path} is damaged: {error}",
            remedy="Remove the file; readers that run register again.",
        ) from error
    return readers


def store_reader(directory: Path, reader: str, offsets: Sequence[int] | None) -> bool:
    """Notes that `reader` has everything before `offsets`, None: forgets it; whether it was known.

    The topic's lock must be held. DiskRefused leaves the readers as they were.
    """
    readers = load_readers(directory)
    known = reader in readers
    if offsets is None:
        readers.pop(reader, None)
    else:
        readers[reader] = list(offsets)
    if known or offsets is not None:
        content = {"readers": readers, "checksum": _checksum(readers)}
        write_json(directory / _FILE_NAME, content)
    return known


def held_back(
    reader: Sequence[int],
    others: Iterable[Sequence[int]],
    begin: Sequence[int],
    end: Sequence[int],
) -> int:
    """How many records of a topic from `begin` to `end` only `reader` keeps from retention.

    All are next offsets by partition; `others` are those of the readers beside it.
    """
    front = [min(offsets) for offsets in zip(end, *others, strict=True)]
    return sum(
        max(0, before - max(at, first))
        for at, before, first in zip(reader, front, begin, strict=True)
    )


def _checksum(readers: Mapping[str, Sequence[int]]) -> str:
    return xxhash.xxh3_64_hexdigest(json.dumps(readers, sort_keys=True).encode())
