"""What levels off and what does not, in series whose course is known."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from tests.torture.soak.leveling import Points, level
from tests.torture.soak.soaking import LONG
from tests.torture.soak.watching import OF_PROCESS

_PAGE = Path(__file__).resolve().parents[3] / "docs" / "reliability.md"

_SECONDS = 600


def series(of: object) -> Points:
    return [(float(t), float(of(t))) for t in range(_SECONDS)]  # type: ignore[operator]


def noisy(t: int) -> float:
    return 200 + Random(t).uniform(-30, 30)


LEVEL = {
    "constant": lambda t: 50,
    "filled in the first half": lambda t: min(t, 200),
    "a saw-tooth": lambda t: 20 + t % 37,
    "noise": noisy,
    "a peak near the end": lambda t: 900 if 550 < t < 570 else 50,
    "falling": lambda t: 1000 - t,
}
GROWING = {
    "from nothing": lambda t: t / 10,
    "a saw-tooth that climbs": lambda t: 20 + t % 37 + t / 8,
    "noise that climbs": lambda t: noisy(t) + t / 5,
    "a thing now and then": lambda t: 30 + t // 60,
}


@pytest.mark.parametrize("name", LEVEL)
def test_levels_off(name: str) -> None:
    assert level(name, series(LEVEL[name]), 0.1, 1.0).holds


@pytest.mark.parametrize("name", GROWING)
def test_grows(name: str) -> None:
    assert not level(name, series(GROWING[name]), 0.1, 1.0).holds


# About what a soak of twenty minutes holds, and how far that goes up and down.
HELD = {
    "memory MiB": (285, 12),
    "threads": (60, 1),
    "open files": (61, 5),
    "log MiB": (50, 5),
    "log files": (30, 2),
    "lake files": (600, 80),
    "state MiB": (12, 3),
    "state log MiB": (20, 12),
    "state files": (3, 0),
}
# How long each is looked at: the long life of a process, or the whole.
_LIFE, _WHOLE = 600, 1200


def soaked(name: str, gained: float, seed: int) -> bool:
    """Whether a series passes that gains so much in the half of it that is judged."""
    seconds = _LIFE if name in OF_PROCESS else _WHOLE
    height, apart = HELD[name]
    chance = Random(seed)
    points = [
        (float(t), height + chance.uniform(-apart, apart) + gained * t / (seconds / 2))
        for t in range(seconds)
    ]
    return LONG.level(name, points).holds


@pytest.mark.parametrize("name", LONG.leasts)
def test_a_soak_sees_what_grows(name: str) -> None:
    least = LONG.leasts[name]
    share = 0.0 if name in OF_PROCESS else 0.1 * HELD[name][0]
    for seed in range(20):
        assert soaked(name, 0, seed), "nothing grows"
        # What has grown in the first half is there as well, and a tenth of it allowed.
        assert not soaked(name, 1.5 * max(share, least), seed), "it grows"


@pytest.mark.parametrize(("name", "in_200_seconds"), [("memory MiB", 12), ("open files", 4)])
def test_a_soak_sees_a_leak_of_a_few_minutes(name: str, in_200_seconds: float) -> None:
    assert not any(soaked(name, in_200_seconds * _LIFE / 2 / 200, seed) for seed in range(20))


def test_how_high_the_teeth_are_does_not_decide_what_a_process_keeps() -> None:
    """A compaction takes memory for half a minute, the later the more."""

    def held(kept: float) -> Points:
        at = range(_LIFE)
        return [(t, 300 + kept * t / 300 + (t / 3 if t % 90 < 30 else 0)) for t in at]

    assert LONG.level("memory MiB", held(0)).holds
    assert not LONG.level("memory MiB", held(20)).holds


def test_the_page_says_what_is_not_seen() -> None:
    page = _PAGE.read_text(encoding="utf-8")
    for name, least in LONG.leasts.items():
        assert f"| {name} | {least} |" in page
