"""What several threads do with a job never overlaps, whether its loop is under way or not."""

from __future__ import annotations

import threading
from collections.abc import Callable

from headrace.engines.embedded.calls import Calls

_SECONDS = 60
# How long it is watched that something does not happen.
_MOMENT_SECONDS = 0.3


def threads(*work: Callable[[], object]) -> list[threading.Thread]:
    begun = [threading.Thread(target=one, daemon=True) for one in work]
    for thread in begun:
        thread.start()
    return begun


def join(begun: list[threading.Thread]) -> None:
    for thread in begun:
        thread.join(_SECONDS)
        assert not thread.is_alive(), "hangs"


def test_a_loop_begins_when_the_work_under_way_is_done() -> None:
    calls, working, seen = Calls(), threading.Event(), []
    looping = threading.Event()

    def work() -> None:
        working.set()
        seen.append(looping.wait(_MOMENT_SECONDS))

    def loop() -> None:
        assert working.wait(_SECONDS)
        calls.begin()
        looping.set()
        calls.end()

    join(threads(lambda: calls.done(work), loop))
    assert seen == [False]
    assert looping.is_set()


def test_two_without_a_loop_work_one_after_the_other() -> None:
    calls, busy, overlaps = Calls(), threading.Lock(), []

    def work() -> None:
        overlaps.append(not busy.acquire(blocking=False))
        threading.Event().wait(_MOMENT_SECONDS / 3)
        if not overlaps[-1]:
            busy.release()

    join(threads(*[lambda: calls.done(work)] * 3))
    assert overlaps == [False] * 3


def test_the_loop_works_for_others() -> None:
    calls, begun, by = Calls(), threading.Event(), []
    asked = threading.Event()

    def loop() -> None:
        calls.begin()
        begun.set()
        while not asked.is_set() or not by:
            calls.serve()
        calls.end()

    def ask() -> None:
        assert begun.wait(_SECONDS)
        asked.set()
        calls.done(lambda: by.append(threading.current_thread()))

    running = threads(loop, ask)
    join(running)
    assert by == [running[0]]


def test_nobody_waits_for_a_loop_that_ended() -> None:
    calls, over, done = Calls(), threading.Event(), []

    def loop() -> None:
        for _ in range(300):
            calls.begin()
            calls.end()
        over.set()

    def ask() -> None:
        while not over.is_set():
            calls.done(lambda: done.append(1))
        calls.done(lambda: done.append(1))

    join(threads(loop, ask, ask))
    assert done


def test_work_may_ask_for_more() -> None:
    calls = Calls()
    assert calls.done(lambda: calls.done(lambda: 7)) == 7
    calls.begin()
    assert calls.done(lambda: calls.done(lambda: 7)) == 7
    calls.end()
