"""What levels off and what does not, in series whose course is known."""

from __future__ import annotations

from random import Random

import pytest

from tests.torture.soak.leveling import Points, level

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
