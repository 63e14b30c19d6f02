"""What a test sends, as the records of a topic."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa

from headrace.ops.ingest.keys import KeyReader
from headrace.storage.topics.log import LocalTopic
from headrace.values.errors import UsageError

Sent = Mapping[str, Any] | str | bytes | None
"""An event as a dict, or a record's own text or bytes (malformed ones too), or no value."""


def append(
    topic: LocalTopic, key_of: KeyReader | None, events: Iterable[Sent], partition: int | None
) -> None:
    """Appends `events` to `topic`: to `partition`, else where their keys go.

    Raises UsageError for what cannot be written as JSON, and for a partition that is not there.
    """
    if partition is not None and not 0 <= partition < topic.partitions:
        raise UsageError(
            f'topic "{topic.name}" has the partitions 0 to {topic.partitions - 1}, not {partition}'
        )
    values = pa.array([value_of(event) for event in events], pa.binary())
    keys = None if key_of is None else key_of(values)
    chosen = None if partition is None else np.full(len(values), partition, np.int32)
    topic.append(values, keys, partition=chosen)


def value_of(event: Sent) -> bytes | None:
    """The bytes of one record."""
    if event is None or isinstance(event, bytes):
        return event
    if isinstance(event, str):
        return event.encode()
    return json.dumps(event, default=_plain, allow_nan=True, ensure_ascii=False).encode()


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        moment = value if value.tzinfo is None else value.astimezone(UTC).replace(tzinfo=None)
        return moment.isoformat() + "Z"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    raise UsageError(
        f"an event holds {value!r}, which JSON has not",
        remedy="Send text, numbers, booleans, None, lists, dicts, datetime, date or Decimal.",
    )
