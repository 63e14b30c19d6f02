"""Builds views again: those that the definition changed, or all that somebody asks for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from headrace.engines.embedded.runner import JobRunner
from headrace.ops.owner import acquire
from headrace.plan.operators import Job
from headrace.proof.corrections import delivered
from headrace.proof.rebuild import rebuild
from headrace.proof.recompute import owed, recompute
from headrace.proof.telling import fill_outputs
from headrace.storage.layout import DataDirectory
from headrace.storage.state.store import FILE_NAME, state_in_words
from headrace.values.errors import UsageError, did_you_mean
from headrace.values.settings import Settings
from headrace.values.telemetry import Listener, log_event

Progress = Callable[[str, int, int], None]


def rebuild_job(
    job: Job,
    settings: Settings,
    *,
    views: Sequence[str] = (),
    progress: Progress | None = None,
    listener: Listener = log_event,
) -> dict[str, Any]:
    """Builds new and changed views again, and those named in `views`; the job must not run.

    JSON-able: the views built, the corrections of late events, seconds. Raises Busy while
    somebody has the job, StateRefused when not all events are there any more, DestinationDown when
    a destination does not take the new rows: the next start delivers them.
    """
    known = {v.name: v for v in job.views}
    for name in views:
        if name not in known:
            raise UsageError(f"there is no view {name!r}", remedy=did_you_mean(name, known))
    directory = DataDirectory(settings.data).job(job.id)
    with (
        acquire(directory, "rebuild") as owner,
        state_in_words(directory / FILE_NAME),
        JobRunner(job, settings, tell=listener, purpose="rebuild", fill=fill_outputs) as runner,
    ):
        stale = {v.name: v for v in runner.stale} | {n: known[n] for n in views}
        # What an earlier rebuild was kept from is done as well.
        late, seconds, corrections = owed(runner) | frozenset(stale), 0.0, 0
        if stale:
            seconds = rebuild(runner, tuple(stale.values()), progress)
        if late:
            runner.rebuilt()
            done = recompute(runner, only=late, progress=progress)
            seconds, corrections = seconds + done.seconds, done.corrections
            fed = [output.name for output in job.outputs if output.input in late]
            delivered(runner, runner.engine.ledger.epoch, fed)
        owner.drain()
    return {
        "job": job.id,
        "views": sorted(stale),
        "corrections": corrections,
        "seconds": seconds,
    }
