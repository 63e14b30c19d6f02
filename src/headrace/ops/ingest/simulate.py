"""Writing a generator's records into a topic: all at once, or paced by the clock."""

from __future__ import annotations

import hashlib
import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from headrace.language.theirs import in_their_code
from headrace.ops.ingest.ahead import ahead
from headrace.ops.ingest.alone import Filled
from headrace.ops.ingest.generator import (
    Generator,
    GeneratorFactory,
    Partitions,
    SimulatedBatch,
    Simulation,
)
from headrace.storage.contract import Log
from headrace.values.errors import HeadraceError, UsageError

# Grows whenever the same simulation would give other bytes.
_VERSION = 1
_TICK_SECONDS = 0.02
# When the clock has run away this far (a laptop slept), what lies between is left out.
_BACKLOG_US_MAX = 5_000_000

_AHEAD_US_MAX = 12 * 3_600_000_000

Progress = Callable[[int], None]


@dataclass(frozen=True)
class SimulateReport:
    """What a simulation did. `outcome` is what must come of its records (see `Generator`).

    It is the outcome for the whole topic only if `alone`: no one else has written to it.
    """

    topic: str
    added: int
    already_there: int
    seconds: float
    alone: bool
    parameters: dict[str, Any]
    outcome: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def simulate(
    topic: Log,
    factory: GeneratorFactory,
    simulation: Simulation,
    *,
    stop: threading.Event | None = None,
    progress: Progress | None = None,
) -> SimulateReport:
    """Appends the records of a simulation, durably; `progress` learns how many are there so far.

    With a count the same simulation is appended once: one that was killed goes on where it ended.
    A live one has no end but `stop`. Raises UsageError when its times reach into the future,
    where nothing would be accepted, or its start would be waited for; DefinitionError for what an
    app's own generator raises.
    """
    _check_times(simulation)
    begun = time.monotonic()
    with _told(factory):
        generator = factory(simulation, Partitions(topic.partitions))
    producer = _producer(factory.topic, simulation)
    filled = Filled(topic.partitions)
    given, added = 0, 0
    note = None if simulation.live else {"kind": "simulate", **asdict(simulation)}
    stopped = stop or threading.Event()
    batches = _batches(factory, generator)
    for batch in _paced(batches, stopped) if simulation.live else ahead(batches):
        appended = topic.append_numbered(
            batch.values, batch.keys, producer=producer, first_sequence=given, note=note
        )
        with _told(factory):
            generator.wrote(batch)
        filled.note(appended)
        given += len(batch)
        added += appended.rows
        if progress is not None:
            progress(given)
        if stopped.is_set():
            break
    with _told(factory):
        outcome = generator.outcome()
    return SimulateReport(
        topic=topic.name,
        added=added,
        already_there=given - added,
        seconds=time.monotonic() - begun,
        alone=filled.alone(topic, _there(topic, producer)),
        parameters=asdict(simulation),
        outcome=outcome,
    )


def _batches(factory: GeneratorFactory, generator: Generator) -> Iterator[SimulatedBatch]:
    with _told(factory):
        batches = iter(generator.batches())
    while True:
        with _told(factory):
            batch = next(batches, None)
        if batch is None:
            return
        yield batch


@contextmanager
def _told(factory: GeneratorFactory) -> Iterator[None]:
    """Says of an error in the code of an app that it is there, and where."""
    try:
        yield
    except HeadraceError:
        raise
    except Exception as error:
        told = in_their_code(error, f"The generator of topic {factory.topic} failed")
        if told is None:
            raise
        raise told from error


def _check_times(simulation: Simulation) -> None:
    live = simulation.count is None or simulation.live
    seconds = 0.0 if live else (simulation.count or 0) / simulation.rate
    ahead_us = simulation.start_us + seconds * 1e6 - time.time() * 1e6
    if ahead_us <= _AHEAD_US_MAX:
        return
    days_ahead = ahead_us / 86_400e6
    if live:
        raise UsageError(
            f"the first record is {days_ahead:,.1f} days beyond now, and what follows the clock "
            "waits for it",
            remedy="Give an earlier --start, or a --count to have all at once.",
        )
    raise UsageError(
        f"{simulation.count:,} records at {simulation.rate:g} per second take "
        f"{seconds / 86_400:,.1f} days of their own time, {days_ahead:,.1f} days "
        "beyond now: what is so far ahead is refused when it is read",
        remedy="Give a greater --rate, a smaller --count or an earlier --start.",
    )


def _producer(topic: str, simulation: Simulation) -> str:
    """The same for the same bytes; a live simulation never gives the same bytes."""
    if simulation.live:
        return f"simulate-{uuid.uuid4().hex}"
    text = json.dumps([_VERSION, topic, asdict(simulation)])
    return f"simulate-{hashlib.sha256(text.encode()).hexdigest()[:32]}"


def _there(topic: Log, producer: str) -> int:
    state = topic.producer(producer)
    return 0 if state is None else state.sequence + 1


def _paced(batches: Iterator[SimulatedBatch], stop: threading.Event) -> Iterator[SimulatedBatch]:
    """Gives each record when it is due, in a batch every 20 ms."""
    for batch in batches:
        start = 0
        while start < len(batch) and not stop.is_set():
            now_us = time.time_ns() // 1_000
            if now_us - int(batch.due_us[-1]) > _BACKLOG_US_MAX:
                break
            end = int(np.searchsorted(batch.due_us, now_us, side="right"))
            if end > start:
                yield batch[start:end]
                start = end
            if start < len(batch):
                due_seconds = (int(batch.due_us[start]) - now_us) / 1e6
                stop.wait(max(due_seconds, _TICK_SECONDS))
        if stop.is_set():
            return
