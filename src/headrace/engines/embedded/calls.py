"""What other threads ask of a job, done by the thread that runs it, between two epochs."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")


class Calls:
    """Work that waits to be done, and those who wait for it."""

    def __init__(self) -> None:
        self._waiting: SimpleQueue[tuple[Callable[[], Any], Future[Any]]] = SimpleQueue()

    def done(self, work: Callable[[], T]) -> T:
        """Waits until another thread has done `work`; what it returned, errors are raised here."""
        future: Future[T] = Future()
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
