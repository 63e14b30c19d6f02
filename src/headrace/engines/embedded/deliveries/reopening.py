"""A job that runs opens its destinations anew, as often as it takes: who is away may come back.

Until they are open nothing is read, for what is committed has nobody to go to.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from headrace.engines.embedded.deliveries.delivery import Delivery
from headrace.engines.embedded.deliveries.outage import Outage
from headrace.values.errors import HeadraceError
from headrace.values.telemetry import DestinationBack, DestinationDown, Event


class Reopening:
    """The tries to open a job's destinations anew, from the first that failed."""

    def __init__(self, job: str, tell: Callable[[Event], None]) -> None:
        self._job, self._tell, self._outage = job, tell, Outage()

    @property
    def under_way(self) -> bool:
        """Whether the last try has failed."""
        return self._outage.seconds is not None

    def failed(self, error: HeadraceError, ended: Sequence[Delivery], *, patient: bool) -> float:
        """A try has failed with `error`; the seconds until the next.

        Raises `error` where there is none: it will not pass, or has lasted too long for who is not
        `patient`. Of the deliveries that have `ended` is told that they are down, and why.
        """
        wait = self._outage.failed()
        if not error.retry or (self._outage.given_up and not patient):
            raise error
        for delivery in ended:
            delivery.outage.began()
            delivery.refusal = error.what
            self._tell(DestinationDown(self._job, delivery.name, error.what, wait))
        return wait

    def done(self, opened: Sequence[Delivery]) -> None:
        """All are open."""
        seconds = self._outage.ended()
        if seconds is not None:
            for delivery in opened:
                self._tell(DestinationBack(self._job, delivery.name, seconds))
