"""How a process that runs a job keeps memory: seen in a process of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

_SCRIPT = """
from pathlib import Path
import numpy as np
from headrace.values.memory import give_back, keep_freed_memory
keep_freed_memory()

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 >> 20

before = resident()
made = [np.ones(1 << 17) for _ in range(200)]
last = np.ones(1 << 17)
del made
print(resident() - before > 150)
give_back()
print(resident() - before < 50)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc is asked to")
def test_memory_that_malloc_frees_stays_until_it_is_given_back() -> None:
    ended = subprocess.run([sys.executable, "-c", _SCRIPT], capture_output=True, text=True)
    assert ended.stdout.split() == ["True", "True"], ended.stderr
