"""Whether the engine wrote to its temporary directory, which it empties by itself again."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_POLL_SECONDS = 0.002


@contextmanager
def spills(data: Path) -> Iterator[dict[str, int]]:
    """Watches the jobs in `data`: the bytes of each temporary file, at its largest, at the end."""
    found: dict[str, int] = {}
    over = threading.Event()
    watcher = threading.Thread(target=_watch, args=(data, found, over), name="spills")
    watcher.start()
    try:
        yield found
    finally:
        over.set()
        watcher.join()


def _watch(data: Path, found: dict[str, int], over: threading.Event) -> None:
    while not over.wait(_POLL_SECONDS):
        for path in data.glob("jobs/*/spill/*.tmp"):
            try:
                found[path.name] = max(found.get(path.name, 0), path.stat().st_size)
            except FileNotFoundError:
                continue
