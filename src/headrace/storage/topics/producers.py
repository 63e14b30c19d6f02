"""What each producer has appended to a topic: its last number, and the note it left with it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from headrace.storage.topics import frame
from headrace.storage.topics.segment import Segment


@dataclass(frozen=True)
class ProducerState:
    """The last append of a producer: its number, its note, and when it arrived."""

    sequence: int
    note: Mapping[str, Any] | None
    arrival_us: int


class ProducerTable:
    """All producers of a topic, read from the last segment: its checkpoint and its frames."""

    def __init__(self) -> None:
        self._ordinal = -1
        self._taken = 0
        self._states: dict[str, ProducerState] = {}

    @property
    def states(self) -> dict[str, ProducerState]:
        return self._states

    def refresh(self, segment: Segment) -> None:
        """Takes what is new in `segment`, the topic's last one, as far as its index reaches."""
        index = segment.index
        # Fewer frames than were taken: a repair has cut the log back.
        if segment.ordinal != self._ordinal or index.count < self._taken:
            self._states = _decode(segment)
            self._ordinal, self._taken = segment.ordinal, 1
        if self._taken >= index.count:
            return
        hashes = index.producers[self._taken :]
        # Of each producer only its last frame matters: the first one, seen from the end.
        known, backwards = np.unique(hashes[::-1], return_index=True)
        numbers = index.count - 1 - backwards[known != 0]
        for number in sorted(numbers.tolist()):
            self._take(segment, number)
        self._taken = index.count

    def encoded(self) -> bytes:
        """The table as the body of a checkpoint frame."""
        return json.dumps({name: asdict(state) for name, state in self._states.items()}).encode()

    def _take(self, segment: Segment, number: int) -> None:
        header, content = segment.header(number)
        origin = frame.origin_of(content, header)
        if origin is None:
            raise segment.damaged(header.position)
        self._states[origin.producer] = ProducerState(
            origin.sequence, origin.note, header.arrival_us
        )


def _decode(segment: Segment) -> dict[str, ProducerState]:
    header, content = segment.header(0)
    body = content[header.body_at :].tobytes().rstrip(b"\0")
    return {name: ProducerState(**state) for name, state in json.loads(body).items()}
