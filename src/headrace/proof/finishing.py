"""What a start does of what was left undone: outputs that lack rows, views not yet recomputed.

A view that was built again has closed windows of what was on time; what came late is added by a
recompute behind it. Invariant: from the transaction that builds a view until the one that
recomputes it, the state holds a fact that says so.
"""

from __future__ import annotations

from headrace.engines.embedded.runner import JobRunner
from headrace.proof.recompute import owed, recompute
from headrace.proof.telling import fill_outputs
from headrace.values.errors import HeadraceError, StateDamaged, StateRefused, Unreachable
from headrace.values.telemetry import RecomputeWaits


def finish(runner: JobRunner) -> None:
    """Gives every output what it lacks, and every view that was built again what came late.

    Raises what `fill_outputs` does. Views that cannot be recomputed now wait for a later start:
    what they have is right of all events that were on time, and the job goes on with it.
    """
    fill_outputs(runner)
    views = owed(runner)
    if not views or _recomputed(runner, views) is None:
        return
    waiting: dict[str, list[str]] = {}
    for view in sorted(views):
        problem = _recomputed(runner, frozenset([view]))
        if problem is not None:
            waiting.setdefault(problem.what, []).append(view)
    for what, names in waiting.items():
        runner.tell(RecomputeWaits(runner.job.id, names, what))


def _recomputed(runner: JobRunner, views: frozenset[str]) -> HeadraceError | None:
    """Recomputes `views`, together; what kept it from that."""
    try:
        recompute(runner, only=views)
    except StateDamaged:
        raise
    except (Unreachable, StateRefused) as error:
        return error
    return None
