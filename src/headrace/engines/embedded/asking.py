"""Topics that do not answer: a job asks them again until they do, and goes on where it was."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from headrace.engines.embedded.deliveries.outage import Outage
from headrace.engines.embedded.epochs.sources import SourceReader
from headrace.values.errors import Unreachable
from headrace.values.telemetry import Event, SourceBack, SourceDown


class Asking:
    """The tries to read a job's topics, from the first that failed to the one that did not."""

    def __init__(self, job: str, tell: Callable[[Event], None]) -> None:
        self._job, self._tell, self._outage = job, tell, Outage()

    @property
    def again(self) -> bool:
        """Whether the last try has failed."""
        return self._outage.seconds is not None

    def failed(self, error: Unreachable, seconds: float, *, patient: bool) -> float:
        """A try that took so long has failed with `error`; the seconds until the next.

        Raises `error` where that has lasted too long for who is not `patient`.
        """
        wait = self._outage.failed(seconds)
        if self._outage.given_up and not patient:
            raise error
        self._tell(SourceDown(self._job, error.what, wait))
        return wait

    def answered(self, readers: Iterable[SourceReader]) -> bool:
        """They answer; whether they had not until now."""
        seconds = self._outage.ended()
        if seconds is None:
            return False
        for reader in readers:
            reader.was_away(seconds)
        self._tell(SourceBack(self._job, seconds))
        return True
