"""One owner, many readers: take a job's directory, or reach whoever has it.

Invariant: the state of a job is open in one process at most, the one that holds the lock; all
others ask that process over its socket. So the same command works either way.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any

from headrace.ops.owner.address import socket_path
from headrace.ops.owner.client import Client, HolderGone, NotAnswering
from headrace.ops.owner.lock import Held, Holder, Lock, announced, try_lock
from headrace.ops.owner.server import ClientGone, Handler, Progress, Server
from headrace.ops.owner.wire import Reply
from headrace.values.clock import SystemClock

RUN = "run"  # the purpose of a holder that stays
_POLL_SECONDS = 0.02
_SILENCE_SECONDS_MAX = 10.0
_STOP_IT = "Stop it (Ctrl-C there), or wait until it is done."


class Owner:
    """Holds a job's directory and answers for it; use as a context manager.

    Order at the end: `drain` (guests are served), close the state, `release`.
    """

    def __init__(self, lock: Lock, purpose: str) -> None:
        path = socket_path(lock.job_directory)
        command = " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])
        self.holder = Holder(os.getpid(), purpose, command, SystemClock().now_us(), str(path))
        self._lock = lock
        self._server = Server(path, self.holder)
        lock.announce(self.holder)

    def serve(self, handlers: Mapping[str, Handler]) -> None:
        """Answers requests by `handlers`, each in a thread of its own, until `drain`."""
        self._server.serve(handlers)

    def answer(self, name: str, request: Mapping[str, Any]) -> Reply | None:
        """The reply to a request of this very process, without the way through the socket.

        None once `drain` has begun.
        """
        try:
            return self._server.answer(name, request)
        except ClientGone:
            return None

    def drain(self, timeout_seconds: float = 30.0) -> None:
        """Takes no more requests and waits for those under way."""
        self._server.drain(timeout_seconds)

    def release(self) -> None:
        """Lets the next one in; requests still under way end, and their clients ask it."""
        self._server.close()
        self._lock.release()

    def __enter__(self) -> Owner:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


def acquire(job_directory: Path, purpose: str) -> Owner:
    """Takes the job's directory; raises Held (a Busy) naming the holder while another has it.

    Asked, it says so itself: the file may be empty yet, or left over from the one before.
    """
    reached = reach_or_acquire(job_directory, purpose)
    if isinstance(reached, Owner):
        return reached
    with reached:
        raise Held(job_directory, reached.holder, _STOP_IT)


def acquire_to_run(
    job_directory: Path, on_wait: Callable[[Holder], None], stop: threading.Event | None = None
) -> Owner:
    """Takes the job's directory for a run; waits for whoever is about to be done.

    `on_wait` is told once for each holder. Raises Held while another run has the job, and
    KeyboardInterrupt when `stop` is set before the holder is gone.
    """
    told: Holder | None = None
    while True:
        reached = reach_or_acquire(job_directory, RUN)
        if isinstance(reached, Owner):
            return reached
        with reached:
            if reached.holder.purpose == RUN:
                raise Held(job_directory, reached.holder, _STOP_IT)
            if reached.holder != told:
                told = reached.holder
                on_wait(told)
            reached.wait_until_gone(stop)
            if stop is not None and stop.is_set():
                raise KeyboardInterrupt


def reach_or_acquire(job_directory: Path, purpose: str) -> Owner | Client:
    """Takes the job's directory, or connects to the process that has it.

    A holder that ends in between is no error: then the next one is tried. Raises Held when a
    process has the lock and does not answer for ten seconds.
    """
    end = time.monotonic() + _SILENCE_SECONDS_MAX
    while True:
        lock = try_lock(job_directory)
        if lock is not None:
            return _own(lock, purpose)
        holder = announced(job_directory)
        if holder is not None:
            try:
                return Client(holder.address, max(0.0, end - time.monotonic()))
            except HolderGone:
                pass  # it is about to end, or the file is left over and the next one begins
            except NotAnswering:
                end = 0.0
        if time.monotonic() >= end:
            remedy = "It does not answer. If it hangs, end that process; nothing is lost."
            raise Held(job_directory, holder, remedy)
        time.sleep(_POLL_SECONDS)


def perform(
    job_directory: Path,
    purpose: str,
    name: str,
    request: Mapping[str, Any],
    open_job: Callable[[], AbstractContextManager[Mapping[str, Handler]]],
    progress: Progress = lambda content: None,
) -> Reply:
    """Has request `name` answered by whoever owns the job: the holder, or this process.

    `open_job` opens the job's state and gives its handlers. When a holder ends before it has
    answered, the request goes to the next owner: handlers must bear being called again.
    """
    while True:
        reached = reach_or_acquire(job_directory, purpose)
        with reached:
            if isinstance(reached, Client):
                try:
                    return reached.call(name, request, progress)
                except HolderGone:
                    continue
            with open_job() as handlers:
                reached.serve(handlers)
                try:
                    return handlers[name](request, progress)
                finally:
                    reached.drain()


def _own(lock: Lock, purpose: str) -> Owner:
    try:
        return Owner(lock, purpose)
    except BaseException:
        lock.release()
        raise
