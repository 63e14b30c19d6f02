"""How a job's loop waits: in short slices, between which it hears whoever asks it something."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress

from headrace.engines.embedded.calls import Calls
from headrace.engines.embedded.deliveries.delivery import Delivery
from headrace.engines.embedded.epochs.sources import SourceReader
from headrace.values.errors import Unreachable

MEND = "Mend that and run again; nothing is lost, what waits goes first."
_SLICE_SECONDS = 0.05


def rest(seconds: float, stop: threading.Event, calls: Calls) -> None:
    """Waits so long, or until `stop` is set."""
    _sliced(seconds, stop.wait, stop, calls)


def came(
    readers: Collection[SourceReader], seconds: float, stop: threading.Event, calls: Calls
) -> bool:
    """Whether a record came in that time."""

    def look(seconds: float) -> bool:
        return any(r.topic.wait(r.position.offsets, seconds / len(readers)) for r in readers)

    # Whether a source is down is found out by the next epoch.
    with suppress(Unreachable):
        return _sliced(seconds, look, stop, calls)
    return False


def room(deliveries: Sequence[Delivery], seconds: float, *, patient: bool) -> bool:
    """Whether every delivery takes one more epoch; who lacks that is waited for a slice at most.

    Raises DestinationDown for one that has been down for longer than who is not `patient` waits.
    """
    for delivery in deliveries:
        if not delivery.has_room(min(seconds, _SLICE_SECONDS)):
            if delivery.outage.given_up and not patient:
                raise delivery.not_taken(MEND)
            return False
    return True


def _sliced(
    seconds: float, wait: Callable[[float], bool], stop: threading.Event, calls: Calls
) -> bool:
    """Waits so long, at most, for what `wait` waits for; whether it, or `stop`, came."""
    deadline = time.monotonic() + seconds
    while not wait(max(0.0, min(_SLICE_SECONDS, deadline - time.monotonic()))):
        if stop.is_set():
            return True
        if time.monotonic() >= deadline:
            return False
        calls.serve()
    return True
