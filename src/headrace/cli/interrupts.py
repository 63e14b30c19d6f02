"""Ctrl-C and SIGTERM: the first asks to stop in order, the second ends the process at once."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

INTERRUPTED_EXIT_CODE = 130
SIGNALS = (signal.SIGINT, signal.SIGTERM)


_SHOW_THE_CURSOR = b"\x1b[?25h"


@contextmanager
def ending_at_once() -> Iterator[None]:
    """Ctrl-C meanwhile ends the process with 130 and without a word: for while modules are loaded.

    Nothing has begun yet, and many a library turns an exception in its midst into another one.
    """
    usual = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if not usual or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGINT, lambda number, frame: os._exit(INTERRUPTED_EXIT_CODE))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


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
            if sys.stderr.isatty():
                # The display that hid it is not asked any more.
                os.write(sys.stderr.fileno(), _SHOW_THE_CURSOR)
            os._exit(INTERRUPTED_EXIT_CODE)
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
