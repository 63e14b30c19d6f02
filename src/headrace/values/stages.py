"""Where the time of a job, a proof or an ingest goes, by thread and stage; cheap, so left on.

A stage costs some three microseconds, and an epoch has about twenty of them, however many records
it holds.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

Item = TypeVar("Item")


@dataclass(frozen=True)
class StageTime:
    """What was spent in a stage: seconds by the clock, and of CPU by its own thread alone.

    What other threads did for it (those of DuckDB and Arrow) is in `seconds` only.
    """

    thread: str
    stage: str
    seconds: float
    own_cpu_seconds: float


class Stages:
    """Adds up the time spent in each stage. A stage inside another is not counted twice."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._spent: dict[tuple[str, str], tuple[float, float]] = {}
        self._open = threading.local()

    @contextmanager
    def spent(self, thread: str, stage: str) -> Iterator[None]:
        """Counts what is done inside for `stage`; `thread` is the job's name for this thread."""
        outer: list[float] | None = getattr(self._open, "inner", None)
        # Seconds and CPU of the stages inside this one.
        self._open.inner = inner = [0.0, 0.0]
        begun, cpu = time.perf_counter(), time.thread_time()
        try:
            yield
        finally:
            seconds, cpu = time.perf_counter() - begun, time.thread_time() - cpu
            self._open.inner = outer
            if outer is not None:
                outer[0] += seconds
                outer[1] += cpu
            self._add((thread, stage), seconds - inner[0], cpu - inner[1])

    def each(self, items: Iterator[Item], thread: str, stage: str) -> Iterator[Item]:
        """Gives `items`; what making each one takes is counted for `stage`."""
        ended = object()
        while True:
            with self.spent(thread, stage):
                item = next(items, ended)
            if item is ended:
                return
            yield item  # type: ignore[misc]

    def times(self) -> list[StageTime]:
        """Every stage so far, in the order in which they were first ended."""
        with self._lock:
            return [StageTime(*key, *spent) for key, spent in self._spent.items()]

    def _add(self, key: tuple[str, str], seconds: float, cpu: float) -> None:
        with self._lock:
            before = self._spent.get(key, (0.0, 0.0))
            self._spent[key] = (before[0] + seconds, before[1] + cpu)
