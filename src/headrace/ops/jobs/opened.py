"""A job opened to be asked: its state in this process, and the requests it answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from headrace.engines.embedded.answering import Answering
from headrace.engines.embedded.epochs.adopting import refuse_left
from headrace.engines.embedded.query import query
from headrace.engines.embedded.runner import JobRunner
from headrace.ops.jobs import letters, states
from headrace.ops.jobs.inspecting import inspected
from headrace.ops.jobs.status import status
from headrace.ops.owner import Handler, Progress, Reply
from headrace.plan.operators import Job
from headrace.proof.corrections import delivered
from headrace.proof.recompute import recompute
from headrace.proof.telling import fill_outputs
from headrace.proof.verify import verify
from headrace.storage.state.damage import damage_in_words
from headrace.storage.state.store import FILE_NAME, state_in_words
from headrace.values.errors import Unreachable
from headrace.values.settings import Settings
from headrace.values.telemetry import Listener, log_event

# What is answered from the state, whether topics and destinations answer or not.
_FROM_THE_STATE = (
    "query",
    "status",
    "state-list",
    "state-inspect",
    "letters-list",
    "letters-show",
)


@contextmanager
def opened(
    job: Job, settings: Settings, listener: Listener = log_event
) -> Iterator[Mapping[str, Handler]]:
    """Opens a job that nobody runs; gives its handlers.

    While a system does not answer, those that need none do; the others raise Unreachable.
    """
    with ExitStack() as stack:
        runner = JobRunner(job, settings, tell=listener, purpose="ask", fill=fill_outputs)
        try:
            with damage_in_words(runner.data.job(job.id) / FILE_NAME):
                stack.enter_context(runner)
            answers = handlers(runner)
        except Unreachable as error:
            answering = stack.enter_context(Answering(job, settings, error, listener))
            answers = {
                name: handler if name in _FROM_THE_STATE else _unreachable(error)
                for name, handler in handlers(answering).items()
            }
        yield answers


def _unreachable(error: Unreachable) -> Handler:
    def answer(request: Mapping[str, Any], tell: Progress) -> Reply:
        raise error

    return answer


def handlers(runner: JobRunner) -> Mapping[str, Handler]:
    """Every request that a job answers, by name. Each may be repeated."""
    answers: dict[str, Callable[[Mapping[str, Any], Progress], Reply]] = {
        "query": lambda request, tell: Reply(table=query(runner, request["sql"])),
        "status": lambda request, tell: Reply(status(runner)),
        "verify": lambda request, tell: Reply(verify(runner, _progress(tell)).to_json()),
        "recompute": lambda request, tell: Reply(_recomputed(runner, request, tell)),
        "state-list": lambda request, tell: Reply(states.listed(runner)),
        "state-inspect": lambda request, tell: Reply(table=inspected(runner, request["view"])),
        "letters-list": lambda request, tell: Reply(table=letters.listed(runner)),
        "letters-show": lambda request, tell: Reply(table=letters.shown(runner, request)),
        "letters-replay": lambda request, tell: Reply(letters.replayed(runner)),
    }
    return {name: _worded(runner, answer) for name, answer in answers.items()}


def _recomputed(runner: JobRunner, request: Mapping[str, Any], tell: Progress) -> dict[str, Any]:
    """The report of a recompute whose corrections every destination has."""
    if not request.get("dry_run"):
        refuse_left(runner.job, runner.engine.left, "its rows would lack the corrections")
    done = recompute(
        runner,
        from_us=request.get("from_us"),
        to_us=request.get("to_us"),
        dry_run=bool(request.get("dry_run")),
        progress=_progress(tell),
    )
    if done.epoch is not None:
        delivered(runner, done.epoch, [found.name for found in done.destinations])
    return done.to_json()


def _worded(runner: JobRunner, answer: Handler) -> Handler:
    """`answer`, with damage that it meets in words, and what disk and memory do not take."""

    def worded(request: Mapping[str, Any], tell: Progress) -> Reply:
        with state_in_words(runner.store.path):
            return answer(request, tell)

    return worded


def _progress(tell: Progress) -> Callable[[str, int, int], None]:
    return lambda what, done, of: tell({"what": what, "done": done, "of": of})
