"""What the users of the simulated site do: sessions, event by event, in vectors.

A session begins (session_start), goes on with page views and clicks, and mostly ends
(session_end); some users just leave. A user has one session at a time. More begin in the evening
than at night. Every event reaches the site a little after it happened, so the order of arrival
is not quite the order of time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from headrace.apps.activity_simulation import draws
from headrace.ops.ingest.generator import Simulation

PAGE_VIEW, CLICK, SESSION_START, SESSION_END = range(4)
KINDS = ("page_view", "click", "session_start", "session_end")

SECOND_US = 1_000_000
_NEVER = np.int64(2**62)
_EVENTS_PER_SLICE = 1 << 17
_EVENTS_PER_SLICE_MIN = 1_000
_SLICE_US_MAX = 600 * SECOND_US
_LIVE_SLICE_US = SECOND_US // 10
_REDRAWS = 4

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Events:
    """Events as arrays of one length: due and event time (us), user, kind and page as numbers."""

    due_us: Ints
    time_us: Ints
    user: npt.NDArray[np.int32]
    kind: npt.NDArray[np.int8]
    page: npt.NDArray[np.int16]

    def __len__(self) -> int:
        return len(self.due_us)

    @staticmethod
    def none() -> Events:
        times = np.empty(0, np.int64)
        return Events(
            times, times, np.empty(0, np.int32), np.empty(0, np.int8), np.empty(0, np.int16)
        )

    def take(self, which: npt.NDArray[Any] | slice) -> Events:
        return Events(*(column[which] for column in self.columns()))

    def columns(self) -> tuple[npt.NDArray[Any], ...]:
        return (self.due_us, self.time_us, self.user, self.kind, self.page)


@dataclass(frozen=True)
class Sessions:
    """Sessions under way: when each acts next and how much of it is left."""

    next_us: Ints
    user: npt.NDArray[np.int32]
    steps_left: npt.NDArray[np.int32]
    ends: npt.NDArray[np.bool_]
    begun: npt.NDArray[np.bool_]
    page: npt.NDArray[np.int16]

    @staticmethod
    def none() -> Sessions:
        numbers, flags = np.empty(0, np.int32), np.empty(0, np.bool_)
        return Sessions(
            np.empty(0, np.int64), numbers, numbers, flags, flags, np.empty(0, np.int16)
        )

    def joined(self, others: Sessions) -> Sessions:
        pairs = zip(vars(self).values(), vars(others).values(), strict=True)
        return Sessions(*(np.concatenate(pair) for pair in pairs))

    def take(self, which: npt.NDArray[np.bool_]) -> Sessions:
        return Sessions(*(column[which] for column in vars(self).values()))


class Story:
    """Gives the events slice of time by slice of time, in order of `due_us`."""

    def __init__(self, simulation: Simulation) -> None:
        self._live = simulation.live
        self._random = np.random.Generator(np.random.PCG64(simulation.seed))
        self._at_us = simulation.start_us
        if self._live:
            longest_us = _LIVE_SLICE_US
        else:
            longest_us = max(
                _SLICE_US_MAX, int(_EVENTS_PER_SLICE_MIN / simulation.rate * SECOND_US)
            )
        length_us = int(_EVENTS_PER_SLICE / simulation.rate * SECOND_US)
        self._slice_us = min(max(length_us, 1_000), longest_us)
        self.users = draws.user_count(simulation.rate)
        self._user_shares = draws.zipf_shares(self.users, 0.8)
        self._gaps_us = draws.gaps_us(simulation.rate)
        self._starts_per_us = simulation.rate / draws.EVENTS_PER_SESSION / SECOND_US
        self._starts_owed = 0.0
        self._sessions = Sessions.none()
        self._busy = np.zeros(self.users, bool)
        self._later: list[Events] = []
        self._begin_first()

    def next_slice(self) -> Events:
        """The events that are due in the next slice of time; possibly none."""
        until = self._at_us + self._slice_us
        middle_us = self._at_us + self._slice_us / 2
        share = 1.0 if self._live else draws.day_share(middle_us)
        self._starts_owed += self._starts_per_us * self._slice_us * share
        count = int(self._starts_owed)
        self._starts_owed -= count
        waits_us = (self._random.random(count) * self._slice_us).astype(np.int64) // 1_000 * 1_000
        self._begin(waits_us, draws.steps()[self._draw(count)])
        parts = [*self._later, *self._act(until)]
        self._at_us = until
        columns = zip(*(part.columns() for part in parts), strict=True)
        events = Events(*(np.concatenate(column) for column in columns)) if parts else None
        if events is None:
            return Events.none()
        events = events.take(np.argsort(events.due_us, kind="stable"))
        split = int(np.searchsorted(events.due_us, until))
        self._later = [events.take(slice(split, None))]
        return events.take(slice(0, split))

    def _begin_first(self) -> None:
        """Puts as many sessions under way as there are on average: the rate holds at once."""
        share = 1.0 if self._live else draws.day_share(self._at_us)
        gap_us = float(self._gaps_us.mean())
        count = int(self._starts_per_us * share * (draws.EVENTS_PER_SESSION - 1) * gap_us)
        # Each is somewhere in the middle: part of a gap is left, and a step counts as its start.
        waits_us = draws.rests_us(self._gaps_us)[self._draw(count)]
        self._begin(waits_us, draws.steps()[self._draw(count)] - 1)

    def _begin(self, waits_us: Ints, steps: npt.NDArray[np.int32]) -> None:
        """Begins sessions of so many `steps`, each after its wait."""
        count = len(steps)
        self._sessions = self._sessions.joined(
            Sessions(
                next_us=self._at_us + waits_us,
                user=self._idle_users(count),
                steps_left=steps,
                ends=self._random.random(count) < draws.END_SHARE,
                begun=np.zeros(count, bool),
                page=draws.page_numbers()[self._draw(count)],
            )
        )

    def _idle_users(self, count: int) -> npt.NDArray[np.int32]:
        """Users by their shares, if enough are idle none of whom has a session already."""
        users = np.empty(count, np.int32)
        open_ = np.arange(count)
        for _ in range(_REDRAWS):
            drawn = np.searchsorted(self._user_shares, self._random.random(len(open_)))
            users[open_] = drawn
            _, first = np.unique(drawn, return_index=True)
            twice = np.ones(len(open_), bool)
            twice[first] = False
            twice |= self._busy[drawn]
            self._busy[drawn] = True
            open_ = open_[twice]
        idle = np.flatnonzero(~self._busy)
        if len(open_) <= len(idle):
            users[open_] = self._random.choice(idle, len(open_), replace=False, shuffle=False)
            self._busy[users[open_]] = True
        return users

    def _act(self, until: int) -> list[Events]:
        """Lets every session go on up to `until`; one part per round of events."""
        sessions, parts = self._sessions, []
        while len(now := np.flatnonzero(sessions.next_us < until)):
            begun, left, ends = sessions.begun[now], sessions.steps_left[now], sessions.ends[now]
            views = self._random.random(len(now)) < draws.PAGE_VIEW_SHARE
            kind = np.where(views, PAGE_VIEW, CLICK)
            kind[left == 0] = SESSION_END
            kind[~begun] = SESSION_START
            page = np.where(
                kind == PAGE_VIEW, draws.page_numbers()[self._draw(len(now))], sessions.page[now]
            )
            time_us = sessions.next_us[now]
            left = left - begun
            over = (kind == SESSION_END) | ((left == 0) & ~ends)
            sessions.begun[now] = True
            sessions.steps_left[now] = left
            sessions.page[now] = page
            gaps_us = self._gaps_us[self._draw(len(now))]
            sessions.next_us[now] = np.where(over, _NEVER, time_us + gaps_us)
            due_us = time_us + draws.delays_us()[self._draw(len(now))]
            parts.append(Events(due_us, time_us, sessions.user[now], kind.astype(np.int8), page))
        over = sessions.next_us == _NEVER
        self._busy[sessions.user[over]] = False
        self._sessions = sessions.take(~over)
        return parts

    def _draw(self, count: int) -> npt.NDArray[np.integer]:
        return self._random.integers(0, draws.SIZE, count)
