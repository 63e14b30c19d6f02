"""Killed while dead letters are judged again: the command is given once more, and that is all."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import children
from tests.faults.replays import ACCEPTED, Letters

_MODULE = "tests.faults.replays"


@pytest.mark.parametrize("nth", (1, 5, 9))
def test_a_kill_between_two_pieces(nth: int, tmp_path: Path) -> None:
    letters = Letters(tmp_path)
    killed, known = 0, 0
    while True:
        process = children.start(_MODULE, tmp_path, kill_at=f"state.committed:{nth + killed}")
        code, _ = children.finished(process)
        if code == 0:
            break
        killed += 1
        judged = letters.judged()
        assert known <= judged <= len(ACCEPTED)
        known = judged
        assert letters.holds()
    assert killed
    assert letters.given() == {
        "totals": [{"n": len(ACCEPTED), "total": sum(ACCEPTED)}],
        "everything": ACCEPTED,
        "copies": ACCEPTED,
    }
    assert letters.holds()
