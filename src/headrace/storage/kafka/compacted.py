"""A small compacted topic as a table of keys and values, for marks and producers.

Only partition 0 is used: all entries stand in one order, whatever happens to the topic.
"""

from __future__ import annotations

import threading
import time

from headrace.storage.kafka.cluster import Cluster
from headrace.storage.kafka.cursor import Cursor, OffsetGone, TopicGone
from headrace.storage.kafka.problems import TopicMissing
from headrace.storage.kafka.topic_settings import change
from headrace.storage.ways import WHAT_ANSWERS
from headrace.values.errors import HeadraceError, StateRefused, TopicRefused, Unreachable

# Old values go soon: a newcomer reads all of what is there.
_SETTINGS = {
    "cleanup.policy": "compact",
    "segment.bytes": str(4 << 20),
    "min.cleanable.dirty.ratio": "0.1",
}
_POLL_SECONDS = 0.05
_PAUSE_SECONDS = 0.01
# The longest that a broker leaves the transaction of a process that died open, and some more.
_SETTLING_SECONDS_MAX = 80.0


class Compacted:
    """The topic `name` of `cluster`, read as it grows; safe to use from any thread."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self.name = name
        self._cluster = cluster
        self._lock = threading.Lock()
        self._identity = ""
        self._ensured = False
        self._cursor: Cursor | None = None
        self._entries: dict[bytes, bytes] = {}

    def ensure(self) -> None:
        """Makes the topic unless it is there; StateRefused when it forgets by age."""
        if self._ensured:
            return
        if self._cluster.create(self.name, 1, _SETTINGS):
            self._cluster.await_topic(self.name, self._cluster.answer_seconds)
            self._ensured = True
            return
        policy = self._cluster.settings(self.name).get("cleanup.policy", "")
        if policy != "compact":
            raise StateRefused(
                f'Topic "{self.name}" at {self._cluster.address.shown} has cleanup.policy='
                f"{policy}: what Headrace notes there would be lost with age",
                remedy=change(
                    self._cluster.address.servers, self.name, "cleanup.policy", "compact"
                ),
            )
        self._ensured = True

    def entries(self, *, settled: bool = False) -> dict[bytes, bytes]:
        """All entries that are committed now; empty where the topic is missing.

        With `settled`, also those of transactions that are open now: it waits for their end.
        Errors as KafkaTopic: TopicRefused where the user may not read it.
        """
        with self._lock:
            try:
                self._refresh(settled)
            except TopicMissing:
                self._forget()
            except TopicRefused as error:
                # Taken for empty, it would have everything delivered and ingested once more.
                self._close()
                remedy = f"Grant the user READ on topic {self.name}."
                raise TopicRefused(error.what, remedy=remedy) from error
            except HeadraceError:
                self._close()
                raise
            return dict(self._entries)

    def close(self) -> None:
        """Ends the connection; entries are read anew after it."""
        with self._lock:
            self._forget()

    def _refresh(self, settled: bool) -> None:
        identity = self._cluster.about(self.name).identity
        if identity != self._identity:
            self._forget()
            self._identity = identity
        end = self._end(settled)
        cursor = self._cursor or self._opened()
        if cursor.at[0] > end:
            self._forget()
            cursor = self._opened()
        last = time.monotonic()
        while cursor.known[0] < end:
            try:
                came = cursor.fill(_POLL_SECONDS)
            except OffsetGone:
                cursor.go_to(self._begin())
                continue
            except TopicGone as gone:
                raise Unreachable(
                    f'Topic "{self.name}" has no leader just now', remedy=WHAT_ANSWERS
                ) from gone
            if came:
                last = time.monotonic()
            elif time.monotonic() - last > self._cluster.answer_seconds:
                raise self._cluster.silent(f'reading topic "{self.name}"')
        records = cursor.take([end]).records
        keys, values = records.column("key").to_pylist(), records.column("value").to_pylist()
        for key, value in zip(keys, values, strict=True):
            if value is None:
                self._entries.pop(key, None)
            elif key is not None:
                self._entries[key] = value

    def _end(self, settled: bool) -> int:
        high = self._offset_of("high") if settled else 0
        deadline = time.monotonic() + _SETTLING_SECONDS_MAX
        while (end := self._offset_of("end")) < high:
            if time.monotonic() > deadline:
                raise Unreachable(
                    f'A transaction in topic "{self.name}" has been open for '
                    f"{_SETTLING_SECONDS_MAX:g} s; the broker ends it in time",
                    remedy=WHAT_ANSWERS,
                )
            time.sleep(_PAUSE_SECONDS)
        return end

    def _offset_of(self, which: str) -> int:
        return self._cluster.offsets(self.name, 1, "high" if which == "high" else "end")[0]

    def _begin(self) -> list[int]:
        return self._cluster.offsets(self.name, 1, "begin")

    def _opened(self) -> Cursor:
        self._entries = {}
        self._cursor = Cursor(self._cluster, self.name, self._begin())
        return self._cursor

    def _forget(self) -> None:
        self._close()
        self._entries, self._identity = {}, ""

    def _close(self) -> None:
        if self._cursor is not None:
            self._cursor.close()
        self._cursor = None
