"""The short form of every part: a few trials of a fixed seed."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.torture.course import Failed, Part, seed_of, tried
from tests.torture.parts import PARTS

_TRIALS = [(part, number) for part in PARTS for number in range(part.short)]
_SECONDS_MAX = 300


@pytest.mark.parametrize(("part", "number"), _TRIALS, ids=lambda v: getattr(v, "name", v))
def test_a_trial(part: Part, number: int, tmp_path: Path) -> None:
    trial = part.short_trial or part.trial
    with _in_time(part):
        assert tried(trial, seed_of(1, part.name, number), tmp_path)


@contextmanager
def _in_time(part: Part) -> Iterator[None]:
    """Says so where a trial hangs."""

    def over(number: int, frame: object) -> None:
        raise Failed(f"{part.name} hangs: it has not ended after {_SECONDS_MAX} seconds")

    before = signal.signal(signal.SIGALRM, over)
    signal.alarm(_SECONDS_MAX)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
