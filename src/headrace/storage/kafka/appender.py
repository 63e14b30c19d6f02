"""Appending to a topic in Kafka so that what is appended again adds only what is missing.

Invariant: rows and the producer's last number are committed in one transaction; before a producer
goes on after anything unknown, it reads its number again behind all transactions of its own.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt

from headrace.storage.kafka.cluster import About, Cluster
from headrace.storage.kafka.compacted import Compacted
from headrace.storage.kafka.limits import Limits
from headrace.storage.kafka.problems import RowsRefused
from headrace.storage.kafka.transactions import Interrupted, Sending, Transactions, pause
from headrace.storage.topics.producers import ProducerState
from headrace.storage.topics.rows import Column, Rows, one_batch, rows_of
from headrace.storage.topics.writer import Appended
from headrace.storage.ways import WHAT_ANSWERS
from headrace.values.errors import Unreachable
from headrace.values.points import reach

TOPIC = "headrace-producers"
_TRIES = 5
# One that was killed in a transaction holds up the start of others for as long.
_TRANSACTION_MS = 15_000


class Appender:
    """Appends to the topic `about`; safe to use from any thread, one append at a time.

    A producer's state belongs to the topic's identity: of a topic made again nothing is known.
    """

    def __init__(
        self, cluster: Cluster, about: About, noted: Compacted, clock: Callable[[], int]
    ) -> None:
        self._cluster = cluster
        self._about = about
        self._noted = noted
        self._clock = clock
        self._lock = threading.Lock()
        self._producer = ""
        self._transactions: Transactions | None = None
        self._last = -1
        self._limits: Limits | None = None

    def producers(self) -> dict[str, ProducerState]:
        """The last append of every producer."""
        return self._states(settled=False)

    def append(
        self,
        values: Column,
        keys: Column | None = None,
        *,
        producer: str,
        first_sequence: int,
        partition: npt.NDArray[np.integer] | None = None,
        extras: Mapping[str, Column] | None = None,
        note: Mapping[str, Any] | None = None,
    ) -> Appended:
        """As KafkaTopic.append_numbered."""
        rows = rows_of(values, keys, partition, extras, partitions=self._about.partitions)
        with self._lock:
            if self._limits is None or self._limits.refused(rows.table).any():
                self._limits = Limits.of_topic(self._cluster, self._about.name)
                self._limits.check(rows.table)
            for attempt in range(_TRIES):
                try:
                    if self._producer != producer or not self._transactions_ready():
                        self._take(producer, self._limits)
                    return self._append(rows, first_sequence, note)
                except Interrupted as error:
                    words = str(error)
                    pause(attempt)
                except RowsRefused:
                    # What the topic takes was changed: now the row is named, or nobody may know.
                    self._limits = Limits.of_topic(self._cluster, self._about.name)
                    self._limits.check(rows.table)
                    raise
        raise Unreachable(
            f'Appending to topic "{self._about.name}" was interrupted {_TRIES} times: {words}',
            remedy=WHAT_ANSWERS,
        )

    def close(self) -> None:
        """Ends the connection."""
        with self._lock:
            self._let_go()

    def _append(self, rows: Rows, first: int, note: Mapping[str, Any] | None) -> Appended:
        count, partitions = len(rows.partition), self._about.partitions
        seen = max(self._last + 1 - first, 0)
        if seen and seen >= count:
            nothing = (-1,) * partitions, (0,) * partitions
            return Appended(*nothing, self._clock(), count, True)
        table, counts = rows.skip(seen).grouped(first + seen, partitions)
        batch = one_batch(table)
        state = ProducerState(max(self._last, first + count - 1), note, self._clock())

        def send(sending: Sending) -> None:
            sending.rows(self._about.name, batch, counts.tolist())
            sending.finish()
            reach("kafka.records.produced")
            sending.record(self._noted.name, self._key(self._producer), _encoded(state))
            sending.finish()
            reach("kafka.noted")

        assert self._transactions is not None
        sent = self._transactions.run(send, f'appending to topic "{self._about.name}"')
        reach("kafka.records.committed")
        self._last = state.sequence
        bases = _bases(sent.get(self._about.name, {}), partitions)
        return Appended(bases, tuple(counts.tolist()), state.arrival_us, seen, markers=1)

    def _take(self, producer: str, limits: Limits) -> None:
        """Becomes the one that appends as `producer`, and learns its last number."""
        self._let_go()
        self._noted.ensure()
        name = f"headrace-append/{self._about.name}/{producer}"
        soon_over = {"transaction.timeout.ms": self._cluster.transaction_ms(_TRANSACTION_MS)}
        settings = limits.batch | soon_over
        self._transactions = Transactions(self._cluster, name, settings)
        self._transactions.begin_anew()
        state = self._states(settled=True).get(producer)
        self._last = -1 if state is None else state.sequence
        # Last: with a number that was not learned, rows would come twice or be left out.
        self._producer = producer

    def _transactions_ready(self) -> bool:
        return self._transactions is not None and self._transactions.ready

    def _let_go(self) -> None:
        if self._transactions is not None:
            self._transactions.close()
        self._transactions, self._producer = None, ""

    def _states(self, *, settled: bool) -> dict[str, ProducerState]:
        found = {}
        for key, value in self._noted.entries(settled=settled).items():
            topic, producer = json.loads(key)
            if topic == self._about.identity:
                found[producer] = ProducerState(**json.loads(value))
        return found

    def _key(self, producer: str) -> bytes:
        return json.dumps([self._about.identity, producer]).encode()


def _encoded(state: ProducerState) -> bytes:
    return json.dumps(asdict(state)).encode()


def _bases(bases: Mapping[int, int], partitions: int) -> tuple[int, ...]:
    return tuple(bases.get(p, -1) for p in range(partitions))
