"""Sessions by marks against a state machine that takes one event after another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.engines.kernel.sequence import WHY, Rows, Sequenced, sequence
from headrace.engines.kernel.watermark import NEVER_US

FEW = settings(max_examples=150, deadline=None)


@dataclass(frozen=True)
class Mark:
    """A row: key, time, place in the order of its instant, marks."""

    key: int
    time: int
    start: bool
    end: bool


@dataclass
class Session:
    key: int
    start: int
    last: int
    rows: list[int]
    ended: int | None = None
    why: str | None = None


def by_hand(marks: list[Mark], timeout: int, watermark: int) -> tuple[list[Session], set[int]]:
    """(sessions, rows that end none), one event after another."""
    sessions: list[Session] = []
    orphans: set[int] = set()
    for key in sorted({m.key for m in marks}):
        current: Session | None = None
        opened: Session | None = None
        for place in sorted((i for i, m in enumerate(marks) if m.key == key), key=_at(marks)):
            mark = marks[place]
            again = mark.start and opened is not None and opened.start == mark.time
            if again:
                assert opened is not None
                opened.rows.append(place)
                continue
            if current is not None and mark.time - current.last >= timeout:
                current.ended, current.why, current = current.last, "timeout", None
            if mark.start:
                if current is not None:
                    current.ended, current.why = current.last, "restart"
                current = opened = Session(key, mark.time, mark.time, [place])
                sessions.append(current)
            elif current is not None:
                current.last = mark.time
                current.rows.append(place)
            elif mark.end:
                orphans.add(place)
            if mark.end and current is not None:
                current.ended, current.why, current = mark.time, "end", None
        if current is not None and current.last + timeout <= watermark:
            current.ended, current.why = current.last, "timeout"
    return sessions, orphans


def _at(marks: list[Mark]):  # type: ignore[no-untyped-def]
    return lambda i: (marks[i].time, i)


def rows_of(marks: list[Mark], order: list[int] | None = None) -> Rows:
    """`marks` as arrays, handed over in `order`."""
    chosen = list(range(len(marks))) if order is None else order
    return Rows(
        np.array([marks[i].key for i in chosen], np.int64),
        np.array([marks[i].time for i in chosen], np.int64),
        np.array(chosen, np.int64),
        np.array([marks[i].start for i in chosen], bool),
        np.array([marks[i].end for i in chosen], bool),
        np.full(len(chosen), NEVER_US, np.int64),
    )


def seen(found: Sequenced, rows: Rows) -> list[tuple[int, int, int | None, str | None, list[int]]]:
    """Sessions as plain values: key, start, end, why, rows."""
    s = found.sessions
    made = []
    for i, row in enumerate(s.row.tolist()):
        ended = None if s.ended_us[i] == NEVER_US else int(s.ended_us[i])
        inside = sorted(rows.order[found.session == i].tolist())
        made.append((int(rows.key[row]), int(s.started_us[i]), ended, WHY[int(s.why[i])], inside))
    return sorted(made)


MARKS = st.lists(
    st.builds(
        Mark,
        st.integers(0, 2),
        st.integers(0, 30),
        st.sampled_from([False, False, True]),
        st.sampled_from([False, False, True]),
    ),
    max_size=25,
)


@FEW
@given(MARKS, st.integers(1, 12), st.integers(-5, 50), st.randoms(use_true_random=False))
def test_sessions_are_those_of_a_state_machine(
    marks: list[Mark], timeout: int, watermark: int, shuffle: object
) -> None:
    order = list(range(len(marks)))
    shuffle.shuffle(order)  # type: ignore[attr-defined]
    rows = rows_of(marks, order)
    found = sequence(rows, timeout, watermark)
    sessions, orphans = by_hand(marks, timeout, watermark)
    wanted = sorted((s.key, s.start, s.ended, s.why, sorted(s.rows)) for s in sessions)
    assert seen(found, rows) == wanted
    assert set(rows.order[found.orphan].tolist()) == orphans


@FEW
@given(MARKS, st.integers(1, 12), st.integers(-5, 50))
def test_what_is_final_stays_whatever_comes_on_time(
    marks: list[Mark], timeout: int, watermark: int
) -> None:
    early = [m for m in marks if m.time < watermark + 6]
    found = sequence(rows_of(early), timeout, watermark)
    late = [m for m in marks if m.time >= watermark + 6]
    later = Mark(0, max(watermark, 0), True, False)
    for extra in (late, [later], [later, *late]):
        # Whatever is at or above the watermark may still come; final sessions do not care.
        whole = early + [m for m in extra if m.time >= watermark]
        after = seen(sequence(rows_of(whole), timeout, watermark), rows_of(whole))
        for i, final in enumerate(found.sessions.final.tolist()):
            if final:
                assert seen(found, rows_of(early))[_rank(found, rows_of(early), i)] in after


def _rank(found: Sequenced, rows: Rows, index: int) -> int:
    keys = [
        (int(rows.key[r]), int(s))
        for r, s in zip(found.sessions.row, found.sessions.started_us, strict=True)
    ]
    return sorted(keys).index(keys[index])


@FEW
@given(MARKS, st.integers(1, 12), st.integers(0, 30))
def test_what_is_settled_can_be_carried_on(marks: list[Mark], timeout: int, watermark: int) -> None:
    """Rows below the watermark may be forgotten: one carried row per open session is enough."""
    everything = rows_of(marks)
    whole = sequence(everything, timeout, watermark)
    s = whole.sessions
    staying = [i for i, stays in enumerate(s.stays.tolist()) if stays]
    pending = [i for i, m in enumerate(marks) if m.time >= watermark]
    key = [int(everything.key[s.row[i]]) for i in staying] + [marks[i].key for i in pending]
    time = [int(s.settled_us[i]) for i in staying] + [marks[i].time for i in pending]
    carried = [int(s.started_us[i]) for i in staying] + [NEVER_US] * len(pending)
    kept = Rows(
        np.array(key, np.int64),
        np.array(time, np.int64),
        np.array([-1] * len(staying) + pending, np.int64),
        np.array([False] * len(staying) + [marks[i].start for i in pending], bool),
        np.array([False] * len(staying) + [marks[i].end for i in pending], bool),
        np.array(carried, np.int64),
    )
    again = sequence(kept, timeout, watermark + 40)
    straight = sequence(everything, timeout, watermark + 40)
    open_after = {
        (k, start, ended, why)
        for k, start, ended, why, _ in seen(straight, everything)
        if not _closed_before(whole, everything, k, start)
    }
    assert {(k, b, e, w) for k, b, e, w, _ in seen(again, kept)} == open_after


def _closed_before(found: Sequenced, rows: Rows, key: int, start: int) -> bool:
    s = found.sessions
    return any(
        bool(final) and int(rows.key[row]) == key and int(begun) == start
        for row, begun, final in zip(s.row, s.started_us, s.final, strict=True)
    )


def test_nothing_makes_nothing() -> None:
    found = sequence(rows_of([]), 5, 10)
    assert len(found.session) == len(found.sessions.row) == 0
