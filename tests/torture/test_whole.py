"""However slow the parts are, the whole ends in its time, and says which were too slow."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from random import Random

import pytest

from tests.torture.course import Course, Part, Result, TooSlow
from tests.torture.parts import PARTS
from tests.torture.whole import Whole

_MINUTES, _WITHIN_MINUTES = 53, 90


class Timed(Course):
    """Parts that need so many seconds each, by a clock that only they move."""

    def __init__(self, needed: Mapping[str, float]) -> None:
        super().__init__(seed=1)
        self.needed, self.now = needed, 0.0

    def run(self, part: Part, seconds: float, seconds_max: float) -> Result:
        assert 0 < seconds < seconds_max + 1, (part.name, seconds, seconds_max)
        needed = self.needed.get(part.name, 0.0)
        self.now += min(max(needed, seconds), seconds_max)
        if needed > seconds_max:
            raise TooSlow(f"{part.name} was too slow")
        return Result(part, trials=1)


def ran(needed: Mapping[str, float]) -> tuple[list[Result] | None, float]:
    """The results, and after how many minutes the whole ended."""
    course = Timed(needed)
    results = Whole(PARTS, _MINUTES).run(course, lambda: course.now)
    return results, course.now / 60


def test_it_takes_its_minutes() -> None:
    results, minutes = ran({})
    assert [result.part for result in results or []] == list(PARTS)
    assert minutes == pytest.approx(_MINUTES)


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)
def test_a_slow_part_takes_what_is_over_and_no_more(
    part: Part, capsys: pytest.CaptureFixture[str]
) -> None:
    slower = Whole(PARTS, _MINUTES).meant(part) + 20 * 60
    assert ran({part.name: slower})[0] is not None
    results, minutes = ran({part.name: 1e9})
    assert results is None and _MINUTES < minutes < _WITHIN_MINUTES
    said = capsys.readouterr().err.splitlines()
    assert said[0] == f"{part.name} was too slow"
    assert said[-1].startswith(f"Too slow, for the whole ends after 89 minutes: {part.name}. ")


def test_parts_that_are_slow_together(capsys: pytest.CaptureFixture[str]) -> None:
    for seed in range(50):
        chance = Random(seed)
        needed = {part.name: chance.choice([0, 600, 2000, 1e9]) for part in PARTS}
        results, minutes = ran(needed)
        assert minutes < _WITHIN_MINUTES, needed
        said = capsys.readouterr().err
        slow = {part.name for part in PARTS if f"{part.name} was too slow" in said}
        assert (results is None) == bool(slow)
        if slow:
            assert slow >= {name for name, seconds in needed.items() if seconds == 1e9}
            named = said.splitlines()[-1].partition(": ")[2].partition(". ")[0]
            assert named == ", ".join(part.name for part in PARTS if part.name in slow)


class Stub:
    """A trial that ends after so many seconds, in which it counts one thing."""

    stubs: list[Stub] = []

    def __init__(self, seconds: float) -> None:
        self.again, self.killed, self._ends = "", False, time.monotonic() + seconds
        Stub.stubs.append(self)

    def ended(self) -> bool:
        return time.monotonic() >= self._ends

    def result(self) -> Mapping[str, int]:
        return {"things": 1}

    def kill(self) -> None:
        self.killed = True


def part_of(goal: int, *, long: bool = False) -> Part:
    def trial(seed: int, directory: Path) -> Mapping[str, int]:
        raise AssertionError("stubs stand for it")

    return Part("stub", "", trial, goals={"things": goal}, long_trial=trial if long else None)


@pytest.mark.parametrize(
    ("goal", "trial_seconds", "long", "said"),
    [
        (1_000, 0.01, False, "of 1,000 things"),
        (1, 1e9, False, "0 of 1 things"),
        (0, 1e9, False, "no trial has come to its end"),
        (0, 1e9, True, "no trial has come to its end"),
    ],
)
def test_a_part_is_ended_in_words(
    goal: int, trial_seconds: float, long: bool, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Stub, "stubs", [])
    course = Course(seed=1)
    course.begin = lambda seed, part, number: Stub(trial_seconds)  # type: ignore[assignment,return-value]
    begun = time.monotonic()
    with pytest.raises(TooSlow, match=said):
        course.run(part_of(goal, long=long), 100, 0.5)
    assert time.monotonic() - begun < 10
    assert all(stub.killed or stub.ended() for stub in Stub.stubs)


def test_what_is_ended_once_all_goals_are_reached_is_counted() -> None:
    course, seconds = Course(seed=1), iter([0.0, 1e9])
    course.begin = lambda seed, part, number: Stub(next(seconds, 1e9))  # type: ignore[assignment,return-value]
    result = course.run(part_of(1), 0.1, 0.5)
    assert result.done == {"things": 1, "trials ended before their end": 2}
