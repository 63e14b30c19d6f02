"""What the suites ask of one call, and the marks that they deliver with."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import count
from typing import TypeVar

import pytest

from headrace.storage.contract import Mark
from headrace.values.errors import HeadraceError, StateRefused
from headrace.values.points import VARIABLE

T = TypeVar("T")
JOB, OTHER = "conformance", "somebody_else"
_RECOVERY_SECONDS_MAX = 60.0


def mark(epoch: int, generation: int = 1, job: str = JOB) -> Mark:
    """The mark of an epoch, with offsets and watermarks that are easily damaged."""
    offsets = {"in": [epoch * 10, 2**62 + epoch], "é/b": []}
    watermarks_us = {"in": -epoch, "é/b": None, "c": 2**53 + epoch}
    return Mark(job, generation, epoch, offsets, watermarks_us, {"in": f"é/{epoch}", "é/b": ""})


def same_mark(found: Mark | None, wanted: Mark | None) -> None:
    """Asserts that both tell of the same, but for identities, which a table may leave out."""
    plain = None if found is None else replace(found, offsets=_listed(found))
    if found is not None and wanted is not None and not found.identities:
        wanted = replace(wanted, identities={})  # what keeps a row per key need not have them
    assert plain == wanted, f"the mark is {found}, not {wanted}"


def _listed(found: Mark) -> dict[str, list[int]]:
    return {topic: list(ends) for topic, ends in found.offsets.items()}


def refused(call: Callable[[], object]) -> None:
    """Asserts that `call` raises StateRefused, in words."""
    with pytest.raises(StateRefused) as told:
        call()
    assert len(str(told.value).split()) > 3, f"in words: {told.value}"


def hurried_after(times: int) -> Callable[[], bool]:
    """What upkeep is to ask: no, so many times, and yes from then on."""
    asked = count()
    return lambda: next(asked) >= times


def killed_at(point: str, command: Sequence[str]) -> None:
    """Runs `command`, which passes the kill point and ends there."""
    environment = os.environ | {VARIABLE: point}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == -9, f"{point} was not reached\n{done.stderr}"


def once_back(call: Callable[[], T]) -> T:
    """What `call` returns, tried as a job does while trying again may help."""
    deadline = time.monotonic() + _RECOVERY_SECONDS_MAX
    while True:
        try:
            return call()
        except HeadraceError as problem:
            if not problem.retry or time.monotonic() > deadline:
                raise
            time.sleep(0.05)
