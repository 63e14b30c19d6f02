"""A system that does not answer: since when, when it is asked again, and when that is given up.

It is met again and again while it is away, and goes on where it was once it answers.
"""

from __future__ import annotations

import time
from collections.abc import Callable

# Pauses between tries; the last one for as long as it takes.
_RETRY_SECONDS = (0.2, 1.0, 2.0, 5.0)
# Who only wants to catch up waits this long.
PATIENCE_SECONDS = 30.0


class Outage:
    """The tries to reach one system, from the first that failed to the one that did not."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since: float | None = None
        self._tries = 0

    @property
    def seconds(self) -> float | None:
        """How long the system has been away; None while it answers."""
        return None if self._since is None else self._clock() - self._since

    @property
    def given_up(self) -> bool:
        """Whether it has been away for longer than somebody who waits for it is patient."""
        return (self.seconds or 0.0) > PATIENCE_SECONDS

    def began(self, seconds_ago: float = 0.0) -> None:
        """The system does not answer, and has not for so long."""
        if self._since is None:
            self._since = self._clock() - seconds_ago

    def failed(self, seconds: float = 0.0) -> float:
        """A try that took so long has failed; the seconds until the next."""
        self.began(seconds)
        wait = _RETRY_SECONDS[min(self._tries, len(_RETRY_SECONDS) - 1)]
        self._tries += 1
        return wait

    def ended(self) -> float | None:
        """The system answered; how many seconds it was away, None if it was not."""
        seconds, self._since, self._tries = self.seconds, None, 0
        return seconds
