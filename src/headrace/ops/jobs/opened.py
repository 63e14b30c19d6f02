"""A job opened to be asked: its state in this process, and the requests it answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from headrace.engines.embedded.query import query
from headrace.engines.embedded.runner import JobRunner
from headrace.ops.jobs import letters, states
from headrace.ops.jobs.status import status
from headrace.ops.owner import Handler, Progress, Reply
from headrace.plan.operators import Job
from headrace.proof.filling import fill_tables
from headrace.proof.recompute import recompute
from headrace.proof.verify import verify
from headrace.values.settings import Settings
from headrace.values.telemetry import Listener, log_event


@contextmanager
def opened(
    job: Job, settings: Settings, listener: Listener = log_event
) -> Iterator[Mapping[str, Handler]]:
    """Opens a job that nobody runs; gives its handlers."""
    with JobRunner(job, settings, tell=listener, fill=fill_tables) as runner:
        yield handlers(runner)


def handlers(runner: JobRunner) -> Mapping[str, Handler]:
    """Every request that a job answers, by name. Each may be repeated."""
    answers: dict[str, Callable[[Mapping[str, Any], Progress], Reply]] = {
        "query": lambda request, tell: Reply(table=query(runner, request["sql"])),
        "status": lambda request, tell: Reply(status(runner)),
        "verify": lambda request, tell: Reply(verify(runner, _progress(tell)).to_json()),
        "recompute": lambda request, tell: Reply(
            recompute(
                runner,
                from_us=request.get("from_us"),
                to_us=request.get("to_us"),
                dry_run=bool(request.get("dry_run")),
                progress=_progress(tell),
            ).to_json()
        ),
        "state-list": lambda request, tell: Reply(states.listed(runner)),
        "state-inspect": lambda request, tell: Reply(
            table=states.inspected(runner, request["view"])
        ),
        "letters-list": lambda request, tell: Reply(table=letters.listed(runner)),
        "letters-show": lambda request, tell: Reply(table=letters.shown(runner, request)),
        "letters-replay": lambda request, tell: Reply(letters.replayed(runner)),
    }
    return answers


def _progress(tell: Progress) -> Callable[[str, int, int], None]:
    return lambda what, done, of: tell({"what": what, "done": done, "of": of})
