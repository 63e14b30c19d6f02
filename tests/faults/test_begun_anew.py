"""Killed while a topic of changes begins anew: each row is taken back once, and told once again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.faults.begun_anew import BegunAnew, check_told

# The next start goes on from what the last one left: the point is passed in each.
_KILLED = {
    "each delivery, before it is noted": ["topic.appended"] * 5,
    "the second of two deliveries": ["topic.appended:2"] * 2,
    "before what was appended is published": ["log.synced:4", "log.synced:3"],
    "the notes": ["state.before_commit", "state.committed"] + ["state.before_commit:2"] * 2,
}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> BegunAnew:
    begun = BegunAnew(tmp_path_factory.mktemp("undisturbed"))
    assert begun.run() == 0
    return begun


def test_rows_are_taken_back_in_pieces(undisturbed: BegunAnew) -> None:
    check_told(undisturbed.told())
    assert undisturbed.counted() == {"sent": 40, "landed": 40, "refused": 0}
    assert undisturbed.holds()


@pytest.mark.parametrize("points", _KILLED.values(), ids=_KILLED)
def test_a_kill_between_two_pieces(
    points: Sequence[str], undisturbed: BegunAnew, tmp_path: Path
) -> None:
    begun = BegunAnew(tmp_path)
    for point in points:
        assert begun.run(kill_at=point) == -9, point
    assert begun.run() == 0
    assert begun.told() == undisturbed.told()
    assert begun.counted() == undisturbed.counted()
    assert begun.holds()
