"""Time by stage: nothing is counted twice, whichever thread it was spent in."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from headrace.values.stages import Stages


def test_a_stage_inside_another_is_not_counted_twice() -> None:
    stages = Stages()
    begun = time.perf_counter()
    with stages.spent("job", "outer"):
        time.sleep(0.02)
        for _ in range(2):
            with stages.spent("job", "inner"):
                time.sleep(0.02)
                with stages.spent("job", "innermost"):
                    time.sleep(0.02)
    whole = time.perf_counter() - begun
    times = {t.stage: t for t in stages.times()}
    assert list(times) == ["innermost", "inner", "outer"]
    assert 0.02 <= times["outer"].seconds < whole - 0.08
    assert times["inner"].seconds >= 0.04 and times["innermost"].seconds >= 0.04
    assert sum(t.seconds for t in times.values()) <= whole
    assert all(0 <= t.own_cpu_seconds < t.seconds for t in times.values())


def test_threads_do_not_take_from_each_other() -> None:
    stages = Stages()

    def work() -> None:
        with stages.spent("other", "work"):
            time.sleep(0.03)

    thread = threading.Thread(target=work)
    with stages.spent("job", "wait"):
        thread.start()
        thread.join()
    times = {t.thread: t.seconds for t in stages.times()}
    assert times["other"] >= 0.03 and times["job"] >= 0.03


def test_what_fails_is_counted_too() -> None:
    stages = Stages()
    with (
        stages.spent("job", "outer"),
        pytest.raises(ValueError, match="no"),
        stages.spent("job", "inner"),
    ):
        raise ValueError("no")
    assert [t.stage for t in stages.times()] == ["inner", "outer"]


def test_each_item_that_is_made_is_counted_and_nothing_that_is_done_with_it() -> None:
    def made() -> Iterator[int]:
        for number in range(3):
            time.sleep(0.01)
            yield number

    stages, taken = Stages(), []
    for number in stages.each(made(), "read", "items"):
        time.sleep(0.1)
        taken.append(number)
    (spent,) = stages.times()
    assert taken == [0, 1, 2] and (spent.thread, spent.stage) == ("read", "items")
    assert 0.03 <= spent.seconds < 0.3
