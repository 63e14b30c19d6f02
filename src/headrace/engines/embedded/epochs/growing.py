"""Partitions that topics gain: they are read from their beginning on, from the next epoch.

The record of an epoch has as many offsets as the topic had partitions then; whoever reads it has
nothing of those that came later. A new partition has given no event: it holds nobody back before
there is something unread in it, and what comes in it is late where its slice of time is closed.
"""

from __future__ import annotations

from collections.abc import Mapping

from headrace.engines.embedded.epochs.engine import JobEngine
from headrace.plan.operators import has_dedupe
from headrace.values.errors import StateRefused


def grow(engine: JobEngine) -> list[tuple[str, int, int]]:
    """Takes in what topics have gained; (topic, partitions before, now) of each that grew.

    A topic made again is not that of before: where its generation is read on is not decided here.
    Raises StateRefused when a reader leaves out duplicates, which are looked for by partition.
    """
    grown = []
    for topic, reader in engine.readers.items():
        there, before = reader.grown(), len(reader.position.offsets)
        if there is not None and engine.ledger.identity(topic) == reader.topic.identity:
            _check_keys_may_move(engine, topic, before, there)
            reader.grow()
            grown.append((topic, before, there))
    return grown


def reached(engine: JobEngine, ends: Mapping[str, list[int]]) -> bool:
    """Whether everything before `ends` is read; partitions that came since are not waited for."""
    return all(
        at >= end
        for topic, reader in engine.readers.items()
        for at, end in zip(reader.position.offsets, ends[topic], strict=False)
    )


def _check_keys_may_move(engine: JobEngine, topic: str, before: int, there: int) -> None:
    names = [r.name for r in engine.job.readers_of(topic) if has_dedupe(r)]
    if names:
        raise StateRefused(
            f'Topic "{topic}" has {there} partitions now, not {before}: its keys move to others, '
            f"and {', '.join(names)} would no longer find the duplicates of what was read before",
            remedy="Begin anew with the partitions that there are: headrace state reset APP",
        )
