"""Runs the jobs of an app in this process, each in a thread of its own, and answers for them."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, Literal

import pyarrow as pa

from headrace.engines.embedded.runner import JobRunner
from headrace.ops.jobs.ask import ask_query, ask_verify, job_asked, jobs_of
from headrace.ops.jobs.opened import handlers
from headrace.ops.jobs.status import status
from headrace.ops.owner import Owner, acquire_to_run
from headrace.ops.owner.lock import Holder
from headrace.plan.operators import Job, Plan
from headrace.proof.finishing import finish
from headrace.proof.report import Verification
from headrace.storage.layout import DataDirectory
from headrace.storage.state.damage import damage_in_words
from headrace.storage.state.store import FILE_NAME
from headrace.values.memory import keep_freed_memory
from headrace.values.settings import Settings
from headrace.values.telemetry import Listener, log_event

Until = Literal["caught-up"]


@dataclass
class RunningApp:
    """Jobs under way; `wait` for them, ask them, `stop` them."""

    plan: Plan
    settings: Settings
    stop_event: threading.Event = field(default_factory=threading.Event)
    runners: list[JobRunner] = field(default_factory=list)
    owners: dict[str, Owner] = field(default_factory=dict)
    threads: list[threading.Thread] = field(default_factory=list)
    problems: list[BaseException] = field(default_factory=list)

    def query(self, sql: str, *, job: str | None = None) -> pa.Table:
        """The rows of one SELECT as of a committed epoch.

        Jobs that run here are asked without the way through their socket.
        """
        asked = job_asked(self.plan, sql, job)
        owner = self.owners.get(asked.id)
        reply = owner.answer("query", {"sql": sql}) if owner else None
        if reply is None or reply.table is None:
            return ask_query(self.plan, self.settings, sql, job)
        return reply.table

    def verify(self, *, job: str | None = None) -> tuple[Verification, ...]:
        """Proves the jobs while they run."""
        return ask_verify(self.plan, self.settings, job)

    def status(self) -> list[dict[str, Any]]:
        """One entry per job: lag, watermarks, sums, deliveries."""
        return [status(runner) for runner in self.runners]

    def stop(self) -> None:
        """Finishes the epoch in flight and ends; nothing is lost."""
        self.stop_event.set()

    def wait(self, timeout_seconds: float | None = None) -> bool:
        """Waits until all jobs have ended; raises what ended them. False on timeout."""
        for thread in self.threads:
            thread.join(timeout_seconds)
        if self.problems:
            raise self.problems[0]
        return not any(t.is_alive() for t in self.threads)


def run_app(
    plan: Plan,
    settings: Settings,
    *,
    until: Until | None = None,
    only: str | None = None,
    listener: Listener | None = None,
) -> None:
    """Runs until interrupted (SIGINT, SIGTERM), or until `until` is reached.

    A second signal ends the process at once.
    """
    with (
        _signals() as stop,
        start_app(plan, settings, until=until, only=only, listener=listener, stop=stop) as running,
    ):
        while not running.wait(0.2):
            pass


@contextmanager
def start_app(
    plan: Plan,
    settings: Settings,
    *,
    until: Until | None = None,
    only: str | None = None,
    listener: Listener | None = None,
    on_wait: Callable[[Holder], None] | None = None,
    stop: threading.Event | None = None,
) -> Iterator[RunningApp]:
    """Opens every job and runs it in the background; stops them at the end of the context.

    Whoever sets `stop` ends them too; what waits for another process then raises KeyboardInterrupt.
    """
    running = RunningApp(plan, settings, stop or threading.Event())
    with ExitStack() as stack:
        for job in jobs_of(plan, only):
            runner = _open(stack, job, running, listener, on_wait)
            running.runners.append(runner)
        for runner in running.runners:
            thread = threading.Thread(
                target=_loop, args=(running, runner, until), name=f"job-{runner.job.id}"
            )
            running.threads.append(thread)
            thread.start()
        try:
            yield running
        finally:
            running.stop()
            for thread in running.threads:
                thread.join()
    if running.problems:
        raise running.problems[0]


def _open(
    stack: ExitStack,
    job: Job,
    running: RunningApp,
    listener: Listener | None,
    on_wait: Callable[[Holder], None] | None,
) -> JobRunner:
    keep_freed_memory()
    directory = DataDirectory(running.settings.data).job(job.id)
    wait = acquire_to_run(directory, on_wait or (lambda holder: None), running.stop_event)
    owner: Owner = stack.enter_context(wait)
    opened = JobRunner(
        job, running.settings, tell=listener or log_event, fill=finish, stop=running.stop_event
    )
    with damage_in_words(directory / FILE_NAME):
        runner = stack.enter_context(opened)
    stack.callback(owner.drain)
    owner.serve(handlers(runner))
    running.owners[job.id] = owner
    return runner


def _loop(running: RunningApp, runner: JobRunner, until: Until | None) -> None:
    try:
        with damage_in_words(runner.store.path):
            runner.run(until, running.stop_event)
    except BaseException as error:
        # One job that cannot go on ends the others in good order.
        running.problems.append(error)
        running.stop_event.set()


@contextmanager
def _signals() -> Iterator[threading.Event]:
    """An event that the first SIGINT or SIGTERM sets; a second one ends the process at once."""
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return
    old = {s: signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)}
    asked = False

    def stop(number: int, frame: FrameType | None) -> None:
        # The event may be set without a signal, by a job that cannot go on.
        nonlocal asked
        if asked:
            signal.signal(number, signal.SIG_DFL)
            raise KeyboardInterrupt
        asked = True
        event.set()

    for number in old:
        signal.signal(number, stop)
    try:
        yield event
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
