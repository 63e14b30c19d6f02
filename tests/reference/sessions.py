"""Sessions, one event after another, and what a recompute makes of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from headrace.plan.operators import SessionGap, SessionMarks
from tests.reference.events import Functions, Recompute
from tests.reference.steps import Row


@dataclass
class Session:
    """The rows of a session. `ended_us`: its end event's time; `cut_us`: when a restart cut it.

    `lapsed` says that a later event of the key found it lapsed.
    """

    key: tuple[Any, ...]
    rows: list[Row] = field(default_factory=list)
    lapse_us: int = 0
    ended_us: int | None = None
    cut_us: int | None = None
    lapsed: bool = False

    @property
    def start_us(self) -> int:
        return self.rows[0].event.time_us or 0

    @property
    def last_us(self) -> int:
        return max(r.event.time_us or 0 for r in self.rows)

    def settled(self, as_of_us: int | None) -> bool:
        """No event at or after that time can change it."""
        if as_of_us is None:
            return False
        done = [t for t in (self.ended_us, self.cut_us) if t is not None]
        return any(t < as_of_us for t in done) or self.last_us + self.lapse_us <= as_of_us

    def ended_by(self, window: SessionGap | SessionMarks, watermark_us: int | None) -> str | None:
        over = watermark_us is not None and self.last_us + self.lapse_us <= watermark_us
        if isinstance(window, SessionGap):
            return "gap" if over else None
        if self.ended_us is not None:
            return "end"
        if self.cut_us is not None and not self.lapsed:
            return "restart"
        return "timeout" if self.lapsed or over else None


def sessions_of(
    window: SessionGap | SessionMarks, key: tuple[Any, ...], rows: list[Row], functions: Functions
) -> tuple[list[Session], list[Row], list[Row]]:
    """(sessions, rows in none, ends in none) of one key's rows."""
    ordered = sorted(rows, key=lambda r: r.place)
    if isinstance(window, SessionGap):
        return _by_gap(window, key, ordered), [], []
    return _by_marks(window, key, ordered, functions)


def _by_gap(window: SessionGap, key: tuple[Any, ...], rows: list[Row]) -> list[Session]:
    sessions: list[Session] = []
    for row in rows:
        time = row.event.time_us or 0
        if not sessions or time - sessions[-1].last_us >= window.gap_us:
            sessions.append(Session(key, lapse_us=window.gap_us))
        sessions[-1].rows.append(row)
    return sessions


def _by_marks(
    window: SessionMarks, key: tuple[Any, ...], rows: list[Row], functions: Functions
) -> tuple[list[Session], list[Row], list[Row]]:
    sessions: list[Session] = []
    outside: list[Row] = []
    orphans: list[Row] = []
    is_open = False
    for row in rows:
        time = row.event.time_us or 0
        starts = bool(functions[window.starts.sql](row.values))
        ends = window.ends is not None and bool(functions[window.ends.sql](row.values))
        latest = sessions[-1] if sessions else None
        if starts and latest is not None and latest.start_us == time:
            latest.rows.append(row)
            continue
        if is_open and latest is not None and time - latest.last_us >= window.timeout_us:
            latest.lapsed, is_open = True, False
        if starts:
            if latest is not None and latest.ended_us is None:
                latest.cut_us = time
            sessions.append(Session(key, [row], window.timeout_us))
            is_open = True
        elif is_open:
            sessions[-1].rows.append(row)
        else:
            outside.append(row)
            orphans += [row] if ends else []
        if ends and is_open:
            sessions[-1].ended_us, is_open = time, False
    return sessions, outside, orphans


def replaced(
    served: list[Session], recomputed: list[Session], recompute: Recompute
) -> list[Session]:
    """What is served of one key once the recompute is applied: island by island."""

    def span(session: Session) -> tuple[float, float]:
        closed = session.settled(recompute.bound_us)
        return session.start_us, session.last_us if closed else float("inf")

    pool = [(s, False) for s in served] + [(s, True) for s in recomputed]
    group = list(range(len(pool)))
    for _ in pool:
        for i, (a, _) in enumerate(pool):
            for j, (b, _) in enumerate(pool):
                touch = span(a)[0] <= span(b)[1] and span(b)[0] <= span(a)[1]
                if touch:
                    group[i] = group[j] = min(group[i], group[j])
    result: list[Session] = []
    for island in set(group):
        members = [pool[i] for i in range(len(pool)) if group[i] == island]
        covered = all(
            s.settled(recompute.bound_us)
            and (recompute.from_us is None or s.last_us > recompute.from_us)
            for s, _ in members
        )
        result += [s for s, new in members if new == covered]
    ordered = sorted(result, key=lambda s: s.start_us)
    assert all(a.start_us < b.start_us for a, b in pairwise(ordered))
    return ordered
