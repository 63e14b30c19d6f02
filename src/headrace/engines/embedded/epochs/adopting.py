"""What the state still has and the app no longer: views, streams, outputs.

Who runs the job, or builds it again, has them leave the state for good. Who only asks opens it as
it is: the app may be half edited, or another branch's, and where the log no longer reaches back,
what was dropped cannot be had again. Until they have left, nothing may be committed that gives
rows: what comes back would lack them.
"""

from __future__ import annotations

from collections.abc import Sequence

from headrace.engines.embedded.epochs.definitions import note_views, noted_views
from headrace.engines.embedded.epochs.ledger import Ledger
from headrace.engines.embedded.epochs.places import fill_fact
from headrace.engines.embedded.epochs.renaming import known_streams, leave_readers, left_readers
from headrace.engines.embedded.views.batch import drop_other_states
from headrace.plan.operators import Job
from headrace.storage.state.store import StateStore
from headrace.values.errors import StateRefused


def left_behind(store: StateStore, ledger: Ledger, job: Job) -> tuple[str, ...]:
    """What `adopt` would have leave, by name; StateRefused where a stream goes by such a name."""
    views = noted_views(store).keys() - {view.name for view in job.views}
    # Those that left before are known by that they lack what came since.
    outputs = {o for o in ledger.outputs_left() if store.fact(fill_fact(o)) is None}
    left = views | outputs | left_readers(store, job)
    refuse_left(job, sorted(left & {s.name for s in job.streams}), "a stream goes by that name")
    return tuple(sorted(left))


def adopt(store: StateStore, ledger: Ledger, job: Job) -> None:
    """Has what the job no longer has leave the state, and notes its views; in a transaction."""
    for output in ledger.outputs_left():
        ledger.drop_rows(output)
        # Should it come back, it lacks what its view does from here on.
        store.set_fact(fill_fact(output), "untold")
    leave_readers(store, job, ledger.epoch)
    names = {view.name for view in job.views} | {stream.name for stream in job.streams}
    drop_other_states(store.connection, names | known_streams(store).keys())
    note_views(store, job, ledger.epoch)


def refuse_left(job: Job, left: Sequence[str], what: str) -> None:
    """StateRefused where the state has what the app has not: `what` says what cannot be done."""
    if left:
        raise StateRefused(
            f"job {job.id} has {', '.join(left)} in its state, and the app no longer has "
            f"{'them' if len(left) > 1 else 'it'}: {what}",
            remedy="Put that back into the app, or let the job go on without it, which drops what "
            "the state has of it: headrace run APP",
        )
