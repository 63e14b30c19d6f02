"""The short form of every part: a few trials of a fixed seed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.torture.course import Part, seed_of
from tests.torture.parts import PARTS

_TRIALS = [(part, number) for part in PARTS for number in range(part.short)]


@pytest.mark.parametrize(("part", "number"), _TRIALS, ids=lambda v: getattr(v, "name", v))
def test_a_trial(part: Part, number: int, tmp_path: Path) -> None:
    assert part.trial(seed_of(1, part.name, number), tmp_path)
