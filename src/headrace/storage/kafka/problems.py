"""What Kafka's errors mean: whose fault, and whether trying again helps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from headrace.storage.kafka.library import library
from headrace.storage.ways import (
    WHAT_ANSWERS,
    fill_anew,
    go_on_behind,
    go_on_with,
    look_again,
    restore_or_reset,
)
from headrace.values.errors import HeadraceError, TopicRefused, Unreachable, UsageError

if TYPE_CHECKING:
    from confluent_kafka import KafkaError

_RIGHTS = (
    "TOPIC_AUTHORIZATION_FAILED",
    "GROUP_AUTHORIZATION_FAILED",
    "CLUSTER_AUTHORIZATION_FAILED",
    "TRANSACTIONAL_ID_AUTHORIZATION_FAILED",
)
_MISSING = ("UNKNOWN_TOPIC_OR_PART", "UNKNOWN_TOPIC_ID", "_UNKNOWN_TOPIC", "_UNKNOWN_PARTITION")
_FENCED = ("_FENCED", "PRODUCER_FENCED", "INVALID_PRODUCER_EPOCH")
_INTERRUPTED = (
    "_FATAL",
    "_STATE",
    "_PURGE_QUEUE",
    "_PURGE_INFLIGHT",
    "_GAPLESS_GUARANTEE",
    "OUT_OF_ORDER_SEQUENCE_NUMBER",
    "DUPLICATE_SEQUENCE_NUMBER",
    "UNKNOWN_PRODUCER_ID",
    "INVALID_TXN_STATE",
    "INVALID_PRODUCER_ID_MAPPING",
    "TRANSACTION_ABORTABLE",
    "CONCURRENT_TRANSACTIONS",
    "UNKNOWN",
)
_PASSING = (
    "NOT_LEADER_FOR_PARTITION",
    "LEADER_NOT_AVAILABLE",
    "REPLICA_NOT_AVAILABLE",
    "KAFKA_STORAGE_ERROR",
    "FENCED_LEADER_EPOCH",
    "UNKNOWN_LEADER_EPOCH",
    "OFFSET_NOT_AVAILABLE",
)
# The queue is full of rows that were let in only as far as the properties say that there is room.
_CALL = ("_QUEUE_FULL", "_INVALID_ARG", "INVALID_CONFIG", "INVALID_REQUEST", "UNSUPPORTED_VERSION")
_REPORTS = ("POLICY_VIOLATION", "INVALID_REPLICATION_FACTOR", "INVALID_PARTITIONS")
# What Kafka says of rows, and not of the moment.
_TOO_LARGE = ("MSG_SIZE_TOO_LARGE", "RECORD_LIST_TOO_LARGE")
_UNFIT = ("INVALID_RECORD", "_INVALID_DIFFERENT_RECORD")


class TopicMissing(TopicRefused):
    """The topic is not there; rights that lack are no such thing: what they hide may be there."""


class RowsRefused(TopicRefused):
    """There are rows among what was sent that the topic takes neither now nor later."""


def _among(error: KafkaError, names: tuple[str, ...]) -> bool:
    known = library().KafkaError
    return error.code() in {getattr(known, name) for name in names if hasattr(known, name)}


def is_missing(error: KafkaError) -> bool:
    """Whether the topic, or the partition, is not there."""
    return _among(error, _MISSING)


def is_fenced(error: KafkaError) -> bool:
    """Whether another producer took the transactional id, or the broker gave up waiting."""
    return _among(error, _FENCED)


def is_interrupted(error: KafkaError) -> bool:
    """Whether the producer cannot go on, though a new one might."""
    return _among(error, _INTERRUPTED)


def is_of_the_moment(error: KafkaError) -> bool:
    """Whether it only says that the producer cannot do this now, and not why."""
    return _among(error, ("_STATE",))


def is_passing(error: KafkaError) -> bool:
    """Whether the same request may be answered in a moment."""
    return _among(error, _PASSING)


def is_of_rows(error: KafkaError) -> bool:
    """Whether a row is too large, or has no key where each needs one."""
    return _among(error, _TOO_LARGE + _UNFIT)


def is_end(error: KafkaError) -> bool:
    """Whether it only says that a partition has nothing more for now."""
    return bool(error.code() == library().KafkaError._PARTITION_EOF)


def is_out_of_range(error: KafkaError) -> bool:
    """Whether the offset asked for is not, or no longer, in the log."""
    return _among(error, ("_AUTO_OFFSET_RESET", "OFFSET_OUT_OF_RANGE"))


def is_of_group(error: KafkaError) -> bool:
    """Whether it is about the consumer's group, which is never joined."""
    return _among(error, ("GROUP_AUTHORIZATION_FAILED",))


def is_present(error: KafkaError) -> bool:
    """Whether the topic to be made is there already."""
    return _among(error, ("TOPIC_ALREADY_EXISTS",))


def meaning(error: KafkaError, doing: str, words: str) -> HeadraceError:
    """The error to raise; `doing` is what was tried ("reading topic x"), `words` Kafka's own."""
    what = f"{doing} failed: {words}"
    if _among(error, _RIGHTS):
        return TopicRefused(what, remedy="Grant the user the right, or use another user.")
    if _among(error, _CALL + _REPORTS):
        return UsageError(what, remedy="Correct the properties kafka.… in the profile.")
    if is_of_rows(error):
        large = _among(error, _TOO_LARGE)
        change = "Raise its max.message.bytes" if large else "Set its cleanup.policy to delete"
        rows = "rows that are too large" if large else "rows without a key"
        return RowsRefused(
            what,
            remedy=f"{change}, or grant the user DESCRIBE_CONFIGS on it: then {rows} alone are "
            "refused, and the others land.",
        )
    return Unreachable(what, remedy=WHAT_ANSWERS)


def missing(name: str, where: str) -> TopicMissing:
    """The error for a topic that is not there."""
    return TopicMissing(
        f'There is no topic "{name}" at {where}',
        remedy="Make what is missing with: headrace run APP --create-topics",
    )


Use = Literal["source", "output", "look"]
"""What a topic is to whoever meets an error: read on and on, written, or looked at for a moment."""


def made_again(name: str, where: str, use: Use) -> TopicRefused:
    """The error for a topic that is another one than before."""
    since, remedy = {
        "source": ("it was read first", go_on_with(name)),
        "output": ("rows were delivered to it", fill_anew()),
        "look": ("it was looked at", look_again()),
    }[use]
    what = f'Topic "{name}" at {where} was deleted and made again since {since}'
    return TopicRefused(what, remedy=remedy)


def out_of_range(
    name: str, partition: int, offset: int, begin: int, end: int, use: Use
) -> TopicRefused:
    """The error for an offset that is not in the log."""
    if offset < begin:
        return TopicRefused(
            f'Topic "{name}" no longer has offset {offset} of partition {partition}: '
            f"retention has removed everything before {begin}",
            remedy=look_again() if use == "look" else go_on_behind(name),
        )
    return TopicRefused(
        f'Topic "{name}" ends at offset {end} of partition {partition}, but offset {offset} was '
        "read before: the cluster has lost records, or is another one",
        remedy=look_again() if use == "look" else restore_or_reset(),
    )
