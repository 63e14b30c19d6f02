"""Ctrl-C and SIGTERM: the first asks to stop in order, the second ends the process at once."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def stop_on_signals() -> Iterator[threading.Event]:
    """Gives an event that the first signal sets; at the second the process exits with 130.

    Nothing is lost either way: what was committed is on disk.
    """
    stop = threading.Event()
    asked = False

    def handle(number: int, frame: FrameType | None) -> None:
        # The event may be set without a signal, by a job that cannot go on.
        nonlocal asked
        if asked:
            os._exit(130)
        asked = True
        stop.set()
        if sys.stderr.isatty():
            print("\nstopping in order; once more ends it at once", file=sys.stderr)

    before = {number: signal.signal(number, handle) for number in SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
