"""What a job lets go of behind it: old records of the topics that it reads, and what it noted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from headrace.engines.embedded.epochs.engine import JobEngine
from headrace.storage.topics.log import LOCK_SECONDS, LocalTopic
from headrace.values.errors import HeadraceError, TopicRefused


def retain(engine: JobEngine, age_us: int | None, bytes_max: int | None) -> None:
    """Removes from local topics what is older or more than that, and forgets who came late there.

    Nothing that a reader still needs; without a limit all records stay.
    """
    if age_us is not None or bytes_max is not None:
        for reader in engine.readers.values():
            if isinstance(reader.topic, LocalTopic):
                with put_off():
                    reader.topic.retain(age_us, bytes_max, patience_seconds=LOCK_SECONDS)
    with put_off():
        for name, reader in engine.readers.items():
            engine.ledger.forget_late(name, reader.topic.begin_offsets())


@contextmanager
def put_off() -> Iterator[None]:
    """Leaves what a topic does not take just now for the next time: the job goes on meanwhile."""
    try:
        yield
    except HeadraceError as error:
        # Whoever reads a topic that is gone is told so, and in better words.
        if not error.retry and not isinstance(error, TopicRefused):
            raise
