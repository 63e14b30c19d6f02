"""The client library, loaded when it is needed first: whoever has no Kafka need not have it."""

from __future__ import annotations

from functools import cache
from types import ModuleType

from headrace.values.errors import UsageError


@cache
def library() -> ModuleType:
    """`confluent_kafka`, with its `admin`; UsageError where it is not installed."""
    try:
        import confluent_kafka
        import confluent_kafka.admin
    except ImportError as error:
        raise UsageError(
            "Kafka needs the package confluent-kafka, which is not installed here",
            remedy='pip install "headrace[kafka]"',
        ) from error
    return confluent_kafka
