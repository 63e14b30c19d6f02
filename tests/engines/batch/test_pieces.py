"""Recomputed sessions where late events stand just so far from others that were on time."""

from __future__ import annotations

import pytest

from tests.engines.batch.logs import SECOND
from tests.engines.batch.plans import Python
from tests.engines.batch.test_expected import check, counting
from tests.reference import Event, Recompute, Run, moment

_END_US = 60 * SECOND


def event(second: int, offset: int, epoch: int, mark: str = "x") -> Event:
    us = second * SECOND
    values = {"who": "a", "mark": mark, "n": offset + 1, "f": 0.0, "text": "1", "items": None}
    return Event({"at": moment(us), **values}, 0, offset, us, epoch)


@pytest.mark.parametrize("apart", [1, 2, 3, 4, 5, 7, 8, 9])
@pytest.mark.parametrize("name", ["gap", "marks", "marks_without_ends"])
@pytest.mark.parametrize("also", [(), (30,)])
def test_a_late_event_some_seconds_before_one_on_time(
    name: str, apart: int, also: tuple[int, ...]
) -> None:
    """It is read when all before 20 s is closed; `also` are further events on time, far off."""
    on_time = [10, 10 + apart, 10 + 2 * apart, *also]
    events = [event(second, n, 1, "s" if n % 2 else "x") for n, second in enumerate(on_time)]
    late = event(10 - apart, len(events), 2, "s")
    offsets = {("g1", 0): len(events) + 1}
    run = Run(
        [*events, late],
        0,
        {1: None, 2: 40 * SECOND, 3: _END_US},
        2,
        _END_US,
        [Recompute(None, _END_US, offsets, 2)],
    )
    python = Python()
    check(counting(name, python), python, run)
