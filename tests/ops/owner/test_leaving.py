"""Requests that outlast the holder: they go to the next owner, and nobody sees how it ended."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from headrace.ops.owner import (
    Handler,
    HolderFailed,
    Owner,
    Progress,
    Reply,
    acquire,
    perform,
    reach_or_acquire,
)
from headrace.storage.state.store import StateStore
from headrace.values.errors import DiskRefused

LONG = "select count(*) from range(20000) a(i), range(3000000) b(i) where a.i % 7 + b.i % 5 = 3"


@contextlib.contextmanager
def next_owner() -> Iterator[Mapping[str, Handler]]:
    yield {"ask": lambda request, progress: Reply({"by": "the next owner"})}


class Asking(threading.Thread):
    """Performs a request; `said` is the reply or what was raised."""

    def __init__(self, job: Path, open_job: Any) -> None:
        super().__init__()
        self._job, self._open_job = job, open_job
        self.said: Any = None

    def run(self) -> None:
        try:
            self.said = perform(self._job, "query", "ask", {}, self._open_job).header
        except BaseException as error:
            self.said = error


class Outlasting:
    """Answers a request with `error` once `closed` is set."""

    def __init__(self, error: Exception) -> None:
        self.begun, self.closed, self._error = threading.Event(), threading.Event(), error

    def __call__(self, request: Mapping[str, Any], progress: Progress) -> Reply:
        self.begun.set()
        self.closed.wait(10)
        raise self._error


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("cannot schedule new futures after shutdown"),
        DiskRefused("the file is closed"),
    ],
)
def test_what_fails_when_nobody_waits_for_it_goes_to_the_next_owner(
    tmp_path: Path, error: Exception
) -> None:
    ask = Outlasting(error)
    owner = acquire(tmp_path / "job", "run")
    owner.serve({"ask": ask})
    asking = Asking(tmp_path / "job", next_owner)
    asking.start()
    ask.begun.wait(10)
    owner.drain(timeout_seconds=0.1)
    ask.closed.set()
    time.sleep(0.1)
    owner.release()
    asking.join(20)
    assert asking.said == {"by": "the next owner"}


def test_what_fails_while_it_is_waited_for_is_told(tmp_path: Path) -> None:
    begun = threading.Event()

    def ask(request: Mapping[str, Any], progress: Progress) -> Reply:
        begun.set()
        time.sleep(0.3)
        raise ZeroDivisionError("oh")

    with acquire(tmp_path / "job", "run") as owner:
        owner.serve({"ask": ask})
        asking = Asking(tmp_path / "job", next_owner)
        asking.start()
        begun.wait(10)
        owner.drain(timeout_seconds=20)
        asking.join(10)
    assert isinstance(asking.said, HolderFailed)
    assert str(asking.said) == "ZeroDivisionError: oh"


def test_the_own_process_is_told_that_there_is_no_answer(tmp_path: Path) -> None:
    ask = Outlasting(RuntimeError("cannot schedule new futures after shutdown"))
    said: list[object] = []
    with acquire(tmp_path / "job", "run") as owner:
        owner.serve({"ask": ask})
        asking = threading.Thread(target=lambda: said.append(owner.answer("ask", {})))
        asking.start()
        ask.begun.wait(10)
        owner.drain(timeout_seconds=0.1)
        ask.closed.set()
        asking.join(10)
    assert said == [None]


def test_the_state_is_free_for_the_next_owner_while_a_query_was_under_way(tmp_path: Path) -> None:
    job = tmp_path / "job"

    def opened() -> StateStore:
        return StateStore(job, threads=1, memory_limit="1GB")

    begun = threading.Event()

    @contextlib.contextmanager
    def open_job() -> Iterator[Mapping[str, Handler]]:
        with opened() as store:
            yield {"ask": lambda request, progress: Reply({"by": store.fact("by")})}

    owner = acquire(job, "run")
    store = opened()
    store.set_fact("by", "the next owner")

    def ask(request: Mapping[str, Any], progress: Progress) -> Reply:
        cursor = store.cursor()
        begun.set()
        return Reply({"rows": str(cursor.execute(LONG).fetchall())})

    owner.serve({"ask": ask})
    asking = Asking(job, open_job)
    asking.start()
    begun.wait(10)
    owner.drain(timeout_seconds=0.5)
    store.close()
    owner.release()
    asking.join(30)
    assert asking.said == {"by": "the next owner"}
    assert isinstance(free := reach_or_acquire(job, "query"), Owner)
    free.release()
    assert not [t for t in threading.enumerate() if t.name == "headrace-guest"]
