"""One cluster: makes its clients, and asks it what is there. Safe to use from any thread."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, TimeoutError
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from headrace.storage.kafka.address import Address
from headrace.storage.kafka.library import library
from headrace.storage.kafka.problems import (
    TopicMissing,
    is_missing,
    is_passing,
    is_present,
    meaning,
    missing,
)
from headrace.storage.ways import WHAT_ANSWERS
from headrace.values.errors import TopicRefused, Unreachable, UsageError
from headrace.values.points import reach

if TYPE_CHECKING:
    from confluent_kafka import Consumer, KafkaError, Producer
    from confluent_kafka.admin import AdminClient

_READING = {
    # A full queue is looked at again this soon: otherwise a reader waits a second for nothing.
    "fetch.queue.backoff.ms": 5,
    # How late the end of a partition is seen behind a transaction's marker.
    "fetch.wait.max.ms": 20,
    "queued.max.messages.kbytes": 65_536,
}
_WRITING = {
    "queue.buffering.max.messages": 1_000_000,
    "queue.buffering.max.kbytes": 1_048_576,
    # Rows that the topic takes are not to be refused by the client.
    "message.max.bytes": 100_000_000,
    "compression.type": "lz4",
}
# How long a transaction, and a row in it, may take; the last two are one.
_TRANSACTION = "transaction.timeout.ms"
_ROW = ("message.timeout.ms", "delivery.timeout.ms")
_PAUSE_SECONDS = 0.02
# The client writes to the terminal otherwise; what it says of errors, `heard` has too.
_SILENT = logging.getLogger(__name__)
_SILENT.addHandler(logging.NullHandler())
_SILENT.propagate = False
Which = Literal["begin", "end", "high"]


@dataclass(frozen=True)
class About:
    """A topic as it is now; `identity` is of this cluster and this generation of the topic.

    `replicas` is how many its least replicated partition has.
    """

    name: str
    identity: str
    partitions: int
    replicas: int


class Cluster:
    """The cluster at `address`; nothing is connected before it is needed.

    `answer_seconds` is how long a request may take before the cluster counts as unreachable.
    """

    def __init__(self, address: Address, answer_seconds: float) -> None:
        self.address = address
        self.answer_seconds = answer_seconds
        self._lock = threading.Lock()
        self._admin: AdminClient | None = None
        self._id = ""
        self._last_words = ""

    def reader(self, owned: Mapping[str, Any]) -> Consumer:
        """A consumer that reads what is committed, from given offsets."""
        fixed = {
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "enable.partition.eof": True,
            "isolation.level": "read_committed",
            "auto.offset.reset": "error",
            **owned,
        }
        consumer: Consumer = self._made(library().Consumer, _READING, fixed)
        return consumer

    def writer(self, transactional_id: str, owned: Mapping[str, Any]) -> Producer:
        """A transactional producer, not initialised yet."""
        fixed = {"transactional.id": transactional_id, **owned}
        producer: Producer = self._made(library().Producer, _WRITING, fixed)
        return producer

    def queue(self) -> tuple[int, int]:
        """How many rows, and bytes of rows, a producer takes before the brokers have them."""
        names = ("queue.buffering.max.messages", "queue.buffering.max.kbytes")
        rows, kbytes = map(self._number, names)
        # To the client no rows at all means as many as there are.
        return rows or sys.maxsize, kbytes << 10

    def message_bytes(self) -> int:
        """How large a row a producer takes, with the fields of its own that go with it."""
        return self._number("message.max.bytes")

    def transaction_ms(self, usual_ms: int) -> int:
        """How long a transaction may be open, of which the profile need not say anything.

        It may also say how long a row may take; a transaction lasts as long as its rows may.
        """
        if _TRANSACTION in self.address.properties:
            return self._number(_TRANSACTION)
        given = [self._number(name) for name in _ROW if name in self.address.properties]
        return max([usual_ms, *given])

    def _number(self, name: str) -> int:
        """The property of a producer."""
        given = self.address.client(_WRITING, {})[name]
        try:
            return int(str(given), 0)
        except ValueError:
            raise UsageError(
                f'The property kafka.{name} is no whole number: "{given}"',
                remedy=f"Correct kafka.{name} in the profile.",
            ) from None

    def admin(self) -> AdminClient:
        with self._lock:
            if self._admin is None:
                self._admin = self._made(library().admin.AdminClient, {}, {})
            return self._admin

    def close(self) -> None:
        """Lets go of the connection for requests; the next request makes one anew."""
        with self._lock:
            self._admin = None

    def cluster_id(self) -> str:
        """The cluster's own id; errors as `about`."""
        if not self._id:
            with self.answered("asking for the cluster"):
                answer = self.admin().describe_cluster(request_timeout=self.answer_seconds)
                self._id = str(self._result(answer).cluster_id)
        return self._id

    def about(self, name: str, timeout_seconds: float | None = None) -> About:
        """The topic `name`; TopicRefused where there is none, Unreachable without an answer."""
        kafka = library()
        cluster = self.cluster_id()
        timeout = timeout_seconds or self.answer_seconds
        with self.answered(f'looking at topic "{name}"', name):
            asked = self.admin().describe_topics(
                kafka.TopicCollection([name]), request_timeout=timeout
            )
            found = self._result(asked[name])
        replicas = min((len(p.replicas) for p in found.partitions), default=0)
        return About(name, f"{cluster}/{found.topic_id}", len(found.partitions), replicas)

    def rights(self, name: str) -> set[str] | None:
        """What the user may do with the topic ("READ", "WRITE"); None where it is not said."""
        with self.answered(f'asking for the rights on topic "{name}"', name):
            asked = self.admin().describe_topics(
                library().TopicCollection([name]),
                include_authorized_operations=True,
                request_timeout=self.answer_seconds,
            )
            listed = self._result(asked[name]).authorized_operations
        return {operation.name for operation in listed} if listed else None

    def brokers(self) -> int:
        """How many brokers there are."""
        with self.answered("asking for the brokers"):
            answer = self.admin().describe_cluster(request_timeout=self.answer_seconds)
            return len(self._result(answer).nodes)

    def await_topic(self, name: str, timeout_seconds: float) -> About:
        """The topic as soon as every client sees it: the controller answers before the brokers."""
        deadline = time.monotonic() + timeout_seconds
        while True:
            try:
                return self.about(name)
            except TopicRefused:
                if time.monotonic() > deadline:
                    raise
                time.sleep(_PAUSE_SECONDS)

    def offsets(self, name: str, partitions: int, which: Which | int) -> list[int]:
        """The first offsets, the ends of what is committed, or the ends of all (`high`).

        A number is a time in milliseconds: the first offsets of what is not older, -1 for none.
        """
        deadline = time.monotonic() + self.answer_seconds
        with self.answered(f'asking topic "{name}" for its offsets', name):
            while True:
                try:
                    return self._offsets(name, partitions, which)
                except library().KafkaException as error:
                    # A new topic, or one whose leader moves.
                    if not is_passing(error.args[0]) or time.monotonic() > deadline:
                        raise
                time.sleep(_PAUSE_SECONDS)
                # The client asks the leader that it knows; it has to be told to look again.
                self.admin().list_topics(name, timeout=self.answer_seconds)

    def _offsets(self, name: str, partitions: int, which: Which | int) -> list[int]:
        kafka = library()
        spec = kafka.admin.OffsetSpec
        if isinstance(which, int):
            wanted = spec.for_timestamp(which)
        else:
            wanted = spec.earliest() if which == "begin" else spec.latest()
        level = kafka.IsolationLevel
        asked = {kafka.TopicPartition(name, p): wanted for p in range(partitions)}
        answers = self.admin().list_offsets(
            asked,
            isolation_level=level.READ_UNCOMMITTED if which == "high" else level.READ_COMMITTED,
            request_timeout=self.answer_seconds,
        )
        found = {at.partition: self._result(answers[at]).offset for at in asked}
        if kafka.OFFSET_INVALID in found.values():
            # The client says so, and names no error, of a broker that has just come back.
            raise kafka.KafkaException(kafka.KafkaError(kafka.KafkaError.LEADER_NOT_AVAILABLE))
        return [found[p] for p in range(partitions)]

    def create(self, name: str, partitions: int, settings: Mapping[str, str]) -> bool:
        """Makes the topic unless it is there; whether it was made."""
        # Who may not make topics is told only that, also of one that is there.
        with suppress(TopicMissing):
            self.about(name)
            return False
        new = library().admin.NewTopic(name, partitions, -1, config=dict(settings))
        try:
            with self.answered(f'making topic "{name}"'):
                asked = self.admin().create_topics([new], request_timeout=self.answer_seconds)
                self._result(asked[name])
        except _Present:
            return False
        reach("kafka.topic.made")
        return True

    def settings(self, name: str) -> dict[str, str]:
        """The topic's settings as they are in force."""
        admin = library().admin
        resource = admin.ConfigResource(admin.RESOURCE_TOPIC, name)
        with self.answered(f'reading the settings of topic "{name}"', name):
            asked = self.admin().describe_configs([resource], request_timeout=self.answer_seconds)
            found = self._result(asked[resource])
        return {key: entry.value for key, entry in found.items()}

    def note_committed(self, group: str, name: str, offsets: Sequence[int]) -> Future[Any]:
        """Begins to commit `offsets` for the group, for others to see; the answer may fail."""
        kafka = library()
        places = [kafka.TopicPartition(name, p, at) for p, at in enumerate(offsets)]
        asked = self.admin().alter_consumer_group_offsets(
            [kafka.ConsumerGroupTopicPartitions(group, places)],
            request_timeout=self.answer_seconds,
        )
        answer: Future[Any] = asked[group]
        return answer

    @contextmanager
    def answered(self, doing: str, topic: str | None = None) -> Iterator[None]:
        """Turns what the client raises inside into errors of ours; `topic` may turn out missing."""
        try:
            yield
        except library().KafkaException as error:
            kafka_error = error.args[0]
            if is_present(kafka_error):
                raise _Present from error
            if topic is not None and is_missing(kafka_error):
                raise missing(topic, self.address.shown) from error
            problem = meaning(kafka_error, self._words(doing), self.words(kafka_error))
            if isinstance(problem, Unreachable):
                self._lose()
            raise problem from error
        except TimeoutError as error:
            raise self.silent(doing) from error

    def silent(self, doing: str) -> Unreachable:
        """The error for an answer that did not come in time."""
        self._listen()
        self._lose()
        last = f" ({self._last_words})" if self._last_words else ""
        return Unreachable(
            f"{self._words(doing)} failed: no answer within {self.answer_seconds:g} s{last}",
            remedy=WHAT_ANSWERS,
        )

    def words(self, error: KafkaError) -> str:
        """What Kafka says, without secrets, with what was said last about the connection."""
        self._listen()
        own = self.address.scrubbed(error.str())
        last = self._last_words
        return own if not last or last in own else f"{own} ({last})"

    def heard(self, error: KafkaError) -> None:
        """Remembers what a client says about its connections, to explain why nothing answers."""
        if error.code() != library().KafkaError._ALL_BROKERS_DOWN:
            self._last_words = self.address.scrubbed(error.str())

    def _listen(self) -> None:
        """Lets the client for requests say what it has met: it does so only when asked."""
        with self._lock:
            admin = self._admin
        if admin is not None:
            admin.poll(0)

    def _lose(self) -> None:
        """Lets the next request begin at the given addresses again.

        A broker that comes back may say for a moment that there is no broker; a client that hears
        it forgets all that it knew and never asks again (librdkafka, issue 5301).
        """
        self.close()

    def _words(self, doing: str) -> str:
        return f"Kafka at {self.address.shown}: {doing}"

    def _result(self, answer: Future[Any]) -> Any:
        result = answer.result(self.answer_seconds + 1.0)
        self._last_words = ""
        return result

    def _made(self, kind: Any, defaults: Mapping[str, Any], owned: Mapping[str, Any]) -> Any:
        said = {"error_cb": self.heard, "logger": _SILENT}
        configuration = self.address.client(defaults, {**owned, **said})
        try:
            return kind(configuration)
        except library().KafkaException as error:
            words = self.address.scrubbed(error.args[0].str())
            raise UsageError(
                f"Kafka's client refuses its properties: {words}",
                remedy="Correct the properties kafka.… in the profile; their names are those of "
                "librdkafka's CONFIGURATION.md.",
            ) from error


class _Present(Exception):
    """The topic to be made is there."""
