"""A run that lost something is no measurement."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from benchmarks.children import Ended, MeasurementFailed
from benchmarks.fed import LOSSES, Fed, checked

FED = Fed(10, 7) + Fed(20, 3)
MADE: dict[str, Any] = {"read": 30, "counted": 10, "landed": {"activity": 30}}
MADE |= dict.fromkeys(LOSSES, 0)
ENDED = Ended(1.0, 1.0, 0.0, 1.0, 1.0, 0.0, {"made": MADE})


def test_all_that_was_fed_must_have_come_out() -> None:
    assert checked(ENDED, FED) is ENDED


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"read": 29}, "of 30 events: 29 were read"),
        ({"counted": 11}, "11 counted where it must be 10"),
        ({"late": 2}, "2 late"),
        ({"dead_lettered": 1}, "1 dead-lettered"),
        ({"landed": {"activity": 30, "enriched_activity": 28}}, "28 in enriched_activity"),
    ],
)
def test_what_is_missing_is_told(wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(MeasurementFailed, match=told):
        checked(replace(ENDED, report={"made": MADE | wrong}), FED)
