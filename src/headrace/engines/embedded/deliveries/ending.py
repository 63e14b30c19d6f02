"""How deliveries end with their job: what is still waited for, and for how long."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from headrace.engines.embedded.deliveries.delivery import Delivery

_PARTING_SECONDS = 10.0
_LOOK_SECONDS = 0.2


def hand_over_last(deliveries: Sequence[Delivery], epoch: int) -> None:
    """Waits a moment for what no later start could give them any more."""
    for delivery in deliveries:
        delivery.flush(epoch, _PARTING_SECONDS)


def finish_upkeep(deliveries: Sequence[Delivery], stop: threading.Event) -> None:
    """Waits until no destination is at its upkeep, or until `stop` is set.

    A job that only ever catches up would otherwise never get any of it done.
    """
    for delivery in deliveries:
        while not stop.is_set() and not delivery.tidied(_LOOK_SECONDS):
            pass
