"""A point kills the process when it is asked to, at the wanted time, and never otherwise."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from headrace.values.points import VARIABLE

SCRIPT = """
from headrace.values.points import reach
for number in range(5):
    print(number, flush=True)
    reach("a.b")
    reach("a.c")
"""


@pytest.mark.parametrize(
    ("wanted", "code", "lines"), [("", 0, 5), ("a.b", -9, 1), ("a.c:4", -9, 4), ("a", 0, 5)]
)
def test_the_process_dies_where_asked(wanted: str, code: int, lines: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env=os.environ | {VARIABLE: wanted},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, len(done.stdout.splitlines())) == (code, lines)
