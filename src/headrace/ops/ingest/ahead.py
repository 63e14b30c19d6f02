"""Reading ahead in a second thread, so that making a batch and appending the last one overlap."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterator
from typing import TypeVar

Item = TypeVar("Item")
_END = object()


def ahead(
    items: Iterator[Item], depth: int = 2, unwanted: threading.Event | None = None
) -> Generator[Item, None, None]:
    """Gives `items` in order, made in a thread of their own, at most `depth` before they are used.

    What the thread raises is raised here, behind the items made before it. `unwanted` is set when
    no more is asked for: what waits for its input in `items` must look at it, and end.
    """
    made: queue.Queue[object] = queue.Queue(depth)
    unwanted = unwanted or threading.Event()

    def put(thing: object) -> bool:
        while not unwanted.is_set():
            try:
                made.put(thing, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def make() -> None:
        try:
            for item in items:
                if not put(item):
                    return
            put(_END)
        except BaseException as error:
            put(_Failed(error))

    thread = threading.Thread(target=make, name="read-ahead", daemon=True)
    thread.start()
    try:
        while (thing := made.get()) is not _END:
            if isinstance(thing, _Failed):
                raise thing.error
            yield thing  # type: ignore[misc]
    finally:
        unwanted.set()
        thread.join()


class _Failed:
    def __init__(self, error: BaseException) -> None:
        self.error = error
