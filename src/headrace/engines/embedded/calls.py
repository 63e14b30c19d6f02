"""What threads do with a job, one at a time: its loop does it for them, between two epochs.

Invariant: the writer's connection is used by one thread at a time. While no loop is under way,
whoever comes works alone; the next one waits, and so does a loop that is about to begin.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")


class Calls:
    """Work that waits to be done, and those who wait for it."""

    def __init__(self) -> None:
        self._waiting: SimpleQueue[tuple[Callable[[], Any], Future[Any]]] = SimpleQueue()
        self._loop: threading.Thread | None = None
        # Held while the loop begins or ends, and by whoever works while there is none.
        self._lock = threading.RLock()

    @property
    def looping(self) -> bool:
        """Whether a loop is under way."""
        return self._loop is not None

    def begin(self) -> None:
        """This thread is the loop from here on."""
        with self._lock:
            self._loop = threading.current_thread()

    def end(self) -> None:
        """The loop is over; does first what others wait for."""
        with self._lock:
            self._loop = None
            self.serve()

    def done(self, work: Callable[[], T]) -> T:
        """Waits until `work` is done; what it returned, errors are raised here."""
        if self._loop is threading.current_thread():
            return work()
        future: Future[T] = Future()
        with self._lock:
            if self._loop is None:
                return work()
            self._waiting.put((work, future))
        return future.result()

    def serve(self) -> None:
        """Does all that waits."""
        while True:
            try:
                work, future = self._waiting.get_nowait()
            except Empty:
                return
            try:
                future.set_result(work())
            except BaseException as error:
                future.set_exception(error)
