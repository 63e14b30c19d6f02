"""A measured program is charged for all that it starts, whoever outlives whom."""

from __future__ import annotations

import os
import sys

import pytest

from benchmarks import children
from benchmarks.children import MeasurementFailed

# Burns CPU for as many seconds as it is told; process time, whatever else the machine does.
BURN = """
import sys, time
while time.process_time() < float(sys.argv[1]):
    pass
"""
PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", sys.argv[1], "1.0"])
if sys.argv[2] == "waits":
    child.wait()
print("words of a library")
print('{"seconds": [1.5]}')
"""


@pytest.mark.skipif(sys.platform != "linux", reason="orphans are adopted on Linux alone")
@pytest.mark.parametrize("manner", ["waits", "leaves"])
def test_cpu_and_memory_are_of_the_whole_tree(manner: str) -> None:
    ended = children.tree([sys.executable, "-c", PARENT, BURN, manner], os.environ, 120)
    assert ended.cpu_seconds >= 1.0
    assert ended.peak_mib > 5
    assert ended.report == {"seconds": [1.5]}


def test_a_program_that_does_not_end_is_ended() -> None:
    command = [sys.executable, "-c", BURN, "1000"]
    with pytest.raises(MeasurementFailed, match="not done in 1 s"):
        children.tree(command, os.environ, 1)


def test_the_last_words_of_a_failed_program_are_told() -> None:
    with pytest.raises(MeasurementFailed, match="(?s)exit 1.*no such peer"):
        children.tree([sys.executable, "-c", "raise SystemExit('no such peer')"], os.environ, 60)
