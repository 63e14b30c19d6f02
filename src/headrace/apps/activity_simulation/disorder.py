"""Late and malformed records among the events of the story.

A late record is a further page view or click of a user, 30 to 60 minutes older than the watermark
of its partition: late for windows, panes and sessions alike. The story's own events are never
late. A malformed record stands in the place of whatever would have been there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from headrace.apps.activity_simulation.story import CLICK, PAGE_VIEW, SECOND_US, Events, Ints

LATENESS_US = 120 * SECOND_US
_LATE_MINUTES = 30, 60
NOTHING_SEEN = -(2**62)


@dataclass(frozen=True)
class Records:
    """Events in the order of the log, the partition of each, and which are malformed."""

    events: Events
    partition: npt.NDArray[np.integer]
    malformed: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.malformed)

    def __getitem__(self, cut: slice) -> Records:
        return Records(self.events.take(cut), self.partition[cut], self.malformed[cut])


class Disorder:
    """Turns the story's events, slice after slice, into records of `partitions` partitions."""

    def __init__(
        self,
        partition_of_user: npt.NDArray[np.integer],
        partitions: int,
        seed: int,
        late_every: int,
        malformed_every: int,
    ) -> None:
        self._partition_of_user = partition_of_user
        self._random = np.random.Generator(np.random.PCG64([seed, 1]))
        self._late_every = late_every
        self._malformed_every = malformed_every
        self._count = 0
        self._newest_us = [NOTHING_SEEN] * partitions

    def records(self, events: Events) -> Records:
        """The records up to the last of `events`; a late one takes the user of the next event."""
        late = self._late_places(len(events))
        numbers = np.arange(self._count + 1, self._count + 1 + len(late))
        self._count += len(late)
        malformed = (
            numbers % self._malformed_every == 0
            if self._malformed_every
            else np.zeros(len(late), bool)
        )
        # Behind a late record stands the event that it took its user from, so this never ends late.
        source: Ints = np.cumsum(~late) - ~late
        events = events.take(source)
        partition = self._partition_of_user[events.user]
        time_us = np.where(late, NOTHING_SEEN, events.time_us)
        self._make_late(time_us, events.time_us, partition, late, malformed)
        kind = events.kind.copy()
        kind[late] = np.where(self._random.random(int(late.sum())) < 0.72, PAGE_VIEW, CLICK)
        events = Events(events.due_us, time_us, events.user, kind, events.page)
        return Records(events, partition, malformed)

    def _late_places(self, events: int) -> npt.NDArray[np.bool_]:
        """Which of the next records are late, as many records as it takes to place all events."""
        if not self._late_every or not events:
            return np.zeros(events, bool)
        most = events + events // (self._late_every - 1) + 2
        numbers = np.arange(self._count + 1, self._count + 1 + most)
        late: npt.NDArray[np.bool_] = numbers % self._late_every == 0
        length = int(np.searchsorted(np.cumsum(~late), events)) + 1
        return late[:length]

    def _make_late(
        self,
        time_us: Ints,
        usual_us: Ints,
        partition: npt.NDArray[np.integer],
        late: npt.NDArray[np.bool_],
        malformed: npt.NDArray[np.bool_],
    ) -> None:
        """Sets the times of the late records, from what each one's partition has seen before it.

        Where it has seen nothing there is no watermark yet, and the record keeps its usual time.
        """
        low, high = _LATE_MINUTES
        age_us = self._random.integers(low * 60_000, high * 60_000, len(late)) * 1_000
        for number in range(len(self._newest_us)):
            rows = np.flatnonzero((partition == number) & ~malformed)
            newest = np.empty(len(rows) + 1, np.int64)
            newest[0] = self._newest_us[number]
            newest[1:] = time_us[rows]
            np.maximum.accumulate(newest, out=newest)
            self._newest_us[number] = int(newest[-1])
            late_rows = np.flatnonzero(late[rows])
            seen = newest[late_rows]
            time_us[rows[late_rows]] = np.where(
                seen == NOTHING_SEEN,
                usual_us[rows[late_rows]],
                seen - LATENESS_US - age_us[rows[late_rows]],
            )
        spoiled = late & malformed
        time_us[spoiled] = usual_us[spoiled]
