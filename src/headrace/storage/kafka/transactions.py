"""Transactions under one transactional id: all of what is sent in one is seen, or nothing.

Invariant: after `begin_anew` no transaction of this id is open, and what earlier producers of
it began is committed or aborted for good, so that a look at what is there decides.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

import pyarrow as pa

from headrace.storage.kafka.cluster import Cluster
from headrace.storage.kafka.library import library
from headrace.storage.kafka.problems import (
    is_fenced,
    is_interrupted,
    is_of_rows,
    is_of_the_moment,
    meaning,
)
from headrace.storage.kafka.sizes import blocks, row_bytes
from headrace.values.errors import HeadraceError, Unreachable
from headrace.values.points import reach

if TYPE_CHECKING:
    from confluent_kafka import KafkaError, KafkaException, Message, Producer

_BLOCK_ROWS = 20_000
_WAITING_ROWS_MAX = 200_000
_WAITING_BYTES_MAX = 256 << 20
# So many blocks of the largest size fill the queue: one is made while the others are sent.
_BLOCKS = 16
_POLL_SECONDS = 0.05
_ABORT_SECONDS = 2.0
_SIGHT_SECONDS_MAX = 1.0
_SIGHT_PAUSE_SECONDS = 0.001


def pause(attempt: int) -> None:
    """Waits before trying again, so that two that interrupt each other come apart."""
    time.sleep(random.uniform(0.01, 0.05) * (attempt + 1))


class Interrupted(Exception):
    """The transaction's outcome is unknown, or it was aborted by someone else; look and repeat."""


class Transactions:
    """A transactional producer that is made anew when it is lost; for one thread at a time."""

    def __init__(
        self, cluster: Cluster, transactional_id: str, settings: Mapping[str, int] | None = None
    ) -> None:
        self._cluster = cluster
        self._id = transactional_id
        self.settings = settings or {}
        self._producer: Producer | None = None

    @property
    def ready(self) -> bool:
        """Whether there is a producer that nobody has fenced as far as is known."""
        return self._producer is not None

    def begin_anew(self) -> None:
        """Takes the transactional id: fences all others of it, ends what they began.

        Raises Unreachable, or UsageError and TopicRefused for properties and rights.
        """
        self.close()
        self._producer = self._cluster.writer(self._id, self.settings)
        try:
            self._producer.init_transactions(self._cluster.answer_seconds)
        except library().KafkaException as error:
            raise self._failed(error, "taking the transactional id") from error
        reach("kafka.initialised")

    def run(self, send: Callable[[Sending], None], doing: str) -> dict[str, dict[int, int]]:
        """Commits all that `send` sends; the offsets of the first records by topic, partition.

        Raises Interrupted when it has to be looked whether it is there, Unreachable without an
        answer, in which case the same holds; needs `begin_anew` after either.
        """
        producer = self._producer
        assert producer is not None
        kafka = library()
        try:
            producer.begin_transaction()
            reach("kafka.transaction.begun")
            sending = Sending(self._cluster, producer, doing)
            send(sending)
            self._commit(producer)
        except kafka.KafkaException as error:
            raise self._failed(error, doing) from error
        except BufferError as error:
            full = kafka.KafkaException(kafka.KafkaError(kafka.KafkaError._QUEUE_FULL))
            raise self._failed(full, doing) from error
        except BaseException as error:
            if not isinstance(error, Unreachable):
                self._abort()
            self.close()
            raise
        self._await_sight(sending)
        return sending.first

    def close(self) -> None:
        """Lets the producer go; what it had begun ends with the next one of its id."""
        producer, self._producer = self._producer, None
        if producer is not None:
            # Nothing may be sent any more: destroying it would wait for that.
            producer.purge()

    def _commit(self, producer: Producer) -> None:
        deadline = time.monotonic() + self._cluster.answer_seconds
        while True:
            left = max(deadline - time.monotonic(), 0.1)
            try:
                producer.commit_transaction(left)
            except library().KafkaException as error:
                if not error.args[0].retriable() or time.monotonic() >= deadline:
                    raise
            else:
                return

    def _await_sight(self, sending: Sending) -> None:
        """Returns when readers see what was committed: the brokers note that a moment later.

        Not for ever: another's transaction that is open may hide it, and that is no failure.
        """
        deadline = time.monotonic() + _SIGHT_SECONDS_MAX
        with suppress(HeadraceError):
            for topic, first in sending.first.items():
                while time.monotonic() < deadline:
                    ends = self._cluster.offsets(topic, max(first) + 1, "end")
                    if all(ends[p] > offset for p, offset in first.items()):
                        break
                    time.sleep(_SIGHT_PAUSE_SECONDS)

    def _abort(self) -> None:
        """Ends the open transaction now where that can be: readers wait for its end."""
        if self._producer is not None:
            with suppress(library().KafkaException):
                self._producer.abort_transaction(_ABORT_SECONDS)

    def _failed(self, error: KafkaException, doing: str) -> Exception:
        kafka_error = self._cause(error.args[0])
        if kafka_error.txn_requires_abort() or is_of_rows(kafka_error):
            self._abort()
        self.close()
        if is_fenced(kafka_error) or is_interrupted(kafka_error):
            return Interrupted(self._cluster.words(kafka_error))
        doing = f"Kafka at {self._cluster.address.shown}: {doing}"
        return meaning(kafka_error, doing, self._cluster.words(kafka_error))

    def _cause(self, error: KafkaError) -> KafkaError:
        """`error`, or that of the rows before it which the topic refused.

        After those the client takes no more and does not say why. It does when it is asked to
        begin a transaction, which inside one it never does.
        """
        if self._producer is None or not is_of_the_moment(error):
            return error
        try:
            self._producer.begin_transaction()
        except library().KafkaException as refused:
            found: KafkaError = refused.args[0]
            return found if is_of_rows(found) else error
        return error


class Sending:
    """Sends inside a transaction that is open."""

    def __init__(self, cluster: Cluster, producer: Producer, doing: str) -> None:
        self._cluster = cluster
        self._producer = producer
        self._doing = doing
        # Half of what the client takes: it may count more to a row than is in it.
        rows, bytes_ = cluster.queue()
        self._rows_max = min(_WAITING_ROWS_MAX, max(rows // 2, 1))
        self._bytes_max = min(_WAITING_BYTES_MAX, bytes_ // 2)
        # No more bytes than this wait, in no row more than this.
        self._bytes = self._largest = 0
        # The offsets of the first records by topic and partition.
        self.first: dict[str, dict[int, int]] = {}

    def record(self, topic: str, key: bytes, value: bytes | None) -> None:
        """One record to partition 0."""
        size = len(key) + len(value or b"")
        self._until_room(1, size, size)
        self._producer.produce(topic, value=value, key=key, partition=0, on_delivery=self._landed)

    def rows(self, topic: str, batch: pa.RecordBatch, counts: list[int]) -> None:
        """Rows with `key`, `value`, and perhaps `timestamp` and `headers`, grouped by partition."""
        at, sizes = 0, row_bytes(batch)
        rows_max, bytes_max = min(_BLOCK_ROWS, self._rows_max), self._bytes_max // _BLOCKS
        for partition, count in enumerate(counts):
            for cut in blocks(sizes[at : at + count], rows_max, bytes_max):
                first, rows = at + cut.start, cut.stop - cut.start
                in_it = sizes[first : first + rows]
                self._until_room(rows, int(in_it.sum()), int(in_it.max()))
                self._block(topic, batch.slice(first, rows), partition)
            at += count

    def finish(self) -> None:
        """Returns when the brokers have everything that was sent."""
        self._until_waiting(0)

    def _block(self, topic: str, block: pa.RecordBatch, partition: int) -> None:
        # What the client sends as a batch has neither headers nor timestamps.
        plain = block.schema.names == ["key", "value"]
        if not plain or not hasattr(self._producer, "produce_batch"):
            self._one_by_one(topic, block, partition)
            return
        keys, values = block.column("key").to_pylist(), block.column("value").to_pylist()
        messages: list[dict[str, object]]
        messages = [{"key": k, "value": v} for k, v in zip(keys, values, strict=True)]
        if partition not in self.first.get(topic, ()):
            messages[0]["callback"] = self._landed
        if self._producer.produce_batch(topic, messages, partition=partition) < len(messages):
            errors = [m["_error"] for m in messages if "_error" in m]
            raise library().KafkaException(errors[0])

    def _one_by_one(self, topic: str, block: pa.RecordBatch, partition: int) -> None:
        count = block.num_rows
        names = block.schema.names
        times = _milliseconds(block) if "timestamp" in names else [0] * count
        none: list[None] = [None] * count
        headers = block.column("headers").to_pylist() if "headers" in names else none
        keys, values = block.column("key").to_pylist(), block.column("value").to_pylist()
        for i in range(count):
            listed = [(h["key"], h["value"]) for h in headers[i] or ()] or None
            self._producer.produce(
                topic,
                value=values[i],
                key=keys[i],
                partition=partition,
                timestamp=times[i],
                headers=listed,
                on_delivery=self._landed if partition not in self.first.get(topic, ()) else None,
            )

    def _landed(self, error: KafkaError | None, message: Message) -> None:
        if error is None:
            first = self.first.setdefault(message.topic() or "", {})
            first.setdefault(message.partition() or 0, message.offset() or 0)

    def _until_room(self, rows: int, bytes_: int, largest: int) -> None:
        """Waits until the client takes `rows` more: beyond its queue it refuses them.

        It says how many rows wait, and not how large they are: they are taken for the largest.
        """
        rows_max, bytes_max = self._rows_max - rows, max(self._bytes_max - bytes_, 0)
        if self._bytes > bytes_max:
            rows_max = min(rows_max, bytes_max // self._largest)
        waiting = self._until_waiting(max(rows_max, 0))
        self._bytes = min(self._bytes, waiting * self._largest) + bytes_
        self._largest = max(largest, self._largest if waiting else 0)

    def _until_waiting(self, rows_max: int) -> int:
        """Waits until no more than so many rows wait; how many do. Raises when it stands still."""
        waiting = len(self._producer)
        last = time.monotonic()
        while waiting > rows_max:
            left = self._producer.flush(_POLL_SECONDS)
            now = time.monotonic()
            if left < waiting:
                waiting, last = left, now
            elif now - last > self._cluster.answer_seconds:
                raise self._cluster.silent(self._doing)
        return waiting


def _milliseconds(block: pa.RecordBatch) -> list[int]:
    """Kafka's timestamps; 0 lets the client set its own."""
    times = block.column("timestamp").cast(pa.int64()).to_pylist()
    return [0 if time_us is None else time_us // 1000 for time_us in times]
