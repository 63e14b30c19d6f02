"""Who reads a topic and how far each is, so that retention removes nothing unread."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from headrace.storage.topics.disk import write_json
from headrace.values.errors import TopicRefused

_FILE_NAME = "readers.json"


def load_readers(directory: Path) -> dict[str, list[int]]:
    """The registered readers' next offsets, by partition."""
    path = directory / _FILE_NAME
    try:
        readers: dict[str, list[int]] = json.loads(path.read_bytes())
        if not all(isinstance(at, int) for offsets in readers.values() for at in offsets):
            raise TypeError("an offset is a whole number")
    except FileNotFoundError:
        return {}
    except (ValueError, AttributeError, TypeError) as error:
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
        write_json(directory / _FILE_NAME, readers)
    return known
