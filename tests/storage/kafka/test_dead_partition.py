"""A partition that gives nothing is noticed, also while the others give records without end."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pytest

from headrace.storage.contract import RECORDS
from headrace.storage.kafka import topic as module
from headrace.storage.kafka.cluster import About
from headrace.storage.kafka.cursor import Cursor
from headrace.storage.kafka.topic import KafkaTopic
from headrace.values.errors import Unreachable

ABOUT = About("t", "c/t", 2, 1)
ANSWER_SECONDS = 0.4


class Answering:
    """A cluster that says what is there at once; what is read comes by a cursor."""

    answer_seconds = ANSWER_SECONDS

    def about(self, name: str) -> About:
        return ABOUT

    def silent(self, doing: str) -> Unreachable:
        return Unreachable(f"{doing}: no answer")


class Giving(Cursor):
    """Gives a record every few milliseconds: by turns of the partitions in `given`."""

    given: Sequence[int] = ()

    def __init__(self, cluster: Any, topic: str, start: Sequence[int]) -> None:
        self._blocks: list[pa.Table] = []
        self._paused: set[int] = set()
        self.at, self.known, self.used = list(start), list(start), 0.0
        self._until, self._count = time.monotonic() + 20 * ANSWER_SECONDS, 0

    def fill(self, timeout_seconds: float) -> bool:
        assert time.monotonic() < self._until, "it waits for ever"
        time.sleep(0.005)
        partition = self.given[self._count % len(self.given)]
        self._count += 1
        row = [partition, self.known[partition], None, b"{}", 0]
        self._blocks.append(pa.table([[value] for value in row], schema=RECORDS))
        self.known[partition] += 1
        return True

    def close(self) -> None: ...


@pytest.mark.parametrize(("given", "dead"), [([0], True), ([0, 1], False), ([1, 1, 0], False)])
def test_only_what_is_awaited_counts_as_an_answer(
    monkeypatch: pytest.MonkeyPatch, given: Sequence[int], dead: bool
) -> None:
    monkeypatch.setattr(module, "Cursor", type("Given", (Giving,), {"given": given}))
    topic = KafkaTopic(Answering(), ABOUT, None)  # type: ignore[arg-type]
    stop = [100, 3]
    begun = time.monotonic()
    if dead:
        with pytest.raises(Unreachable, match="no answer"):
            topic.fetch([0, 0], stop, records_max=1000)
        # It is looked for from when the others had given all that was asked of them.
        assert time.monotonic() - begun > ANSWER_SECONDS
    else:
        fetched = topic.fetch([0, 0], stop, records_max=1000)
        assert fetched.next_offsets == stop and len(fetched.records) == sum(stop)
